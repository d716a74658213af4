package gogen

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// node is a JSON value with the order of its members.
type node struct {
	kind  jsontext.Kind
	text  string // of a string, or a number as written
	names []string
	kids  []*node // members or items
}

func parse(data []byte) (*node, error) {
	return read(jsontext.NewDecoder(bytes.NewReader(data)))
}

func read(d *jsontext.Decoder) (*node, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	n := &node{kind: tok.Kind()}
	switch n.kind {
	case '{', '[':
		for d.PeekKind() != '}' && d.PeekKind() != ']' {
			if n.kind == '{' {
				name, err := d.ReadToken()
				if err != nil {
					return nil, err
				}
				n.names = append(n.names, name.String())
			}
			kid, err := read(d)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, kid)
		}
		_, err = d.ReadToken()
	default:
		n.text = tok.String()
	}
	return n, err
}

// get is the member's value, or nil.
func (n *node) get(name string) *node {
	if n == nil || n.kind != '{' {
		return nil
	}
	for i, s := range n.names {
		if s == name {
			return n.kids[i]
		}
	}
	return nil
}

// str is the text of a string; "" when n is nil or another value.
func (n *node) str() string {
	if n == nil || n.kind != '"' {
		return ""
	}
	return n.text
}

func (n *node) isSchema() bool { return n != nil && n.kind == '{' }
func (n *node) isFalse() bool  { return n != nil && n.kind == 'f' }

func (n *node) has(names ...string) bool {
	for _, name := range names {
		if n.get(name) != nil {
			return true
		}
	}
	return false
}

// at follows the tokens of a pointer. Load has seen that every $ref leads to a
// value.
func (n *node) at(toks []string) (*node, error) {
	for _, t := range toks {
		next := n.get(t)
		if i, err := strconv.Atoi(t); n.kind == '[' && err == nil && i >= 0 && i < len(n.kids) {
			next = n.kids[i]
		}
		if next == nil {
			return nil, fmt.Errorf("there is nothing at %s", pointer(toks))
		}
		n = next
	}
	return n, nil
}

var unescaper, escaper = strings.NewReplacer("~1", "/", "~0", "~"), strings.NewReplacer("~", "~0", "/", "~1")

func tokens(ptr string) []string {
	if ptr == "" {
		return nil
	}
	toks := strings.Split(ptr[1:], "/")
	for i, t := range toks {
		toks[i] = unescaper.Replace(t)
	}
	return toks
}

func pointer(toks []string) string {
	var b strings.Builder
	for _, t := range toks {
		b.WriteString("/" + escaper.Replace(t))
	}
	return b.String()
}
