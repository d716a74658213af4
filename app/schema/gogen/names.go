package gogen

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// initialisms are written in capitals, as Go's own code does.
var initialisms = strings.Fields("acl api ascii cpu css dns eof guid html http https id ip json lhs qps ram rhs rpc sla smtp sql " +
	"ssh tcp tls ttl udp ui gid uid uuid uri url utf8 vm xml xmpp xsrf xss")

// goName is an exported name of Go: order.placed is OrderPlaced, userId UserID;
// "" when s has no letter or digit.
func goName(s string) string {
	var b strings.Builder
	for _, w := range words(s) {
		lower := strings.ToLower(w)
		if slices.Contains(initialisms, lower) {
			b.WriteString(strings.ToUpper(w))
			continue
		}
		if one, plural := strings.CutSuffix(lower, "s"); plural && slices.Contains(initialisms, one) {
			b.WriteString(strings.ToUpper(one) + "s")
			continue
		}
		r := []rune(w)
		b.WriteString(string(unicode.ToUpper(r[0])) + string(r[1:]))
	}
	name := b.String()
	if name != "" && !unicode.IsUpper([]rune(name)[0]) { // a digit, or a script without capitals
		name = "X" + name
	}
	return name
}

// words splits at what is no letter or digit and where a capital begins a word.
func words(s string) []string {
	var all []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			all = append(all, string(word))
		}
		word = nil
	}
	runes := []rune(s)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
			continue
		case unicode.IsUpper(r) && len(word) > 0:
			last := word[len(word)-1]
			endsCapitals := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if !unicode.IsUpper(last) || endsCapitals {
				flush()
			}
		}
		word = append(word, r)
	}
	flush()
	return all
}

// unique is name, or name with the first number from 2 that is free.
func unique(name string, taken func(string) bool) string {
	free := name
	for n := 2; taken(free); n++ {
		free = fmt.Sprintf("%s%d", name, n)
	}
	return free
}

// place is a schema among all files. It names a type.
type place struct {
	file string // as schema.Schema.File
	ptr  string
}

// holders are the keywords whose value holds schemas by name or index, with what
// they add to the name of a type.
var holders = map[string]string{
	"$defs": "", "properties": "", "patternProperties": "Pattern", "dependentSchemas": "With",
	"allOf": "", "anyOf": "Option", "oneOf": "Option", "prefixItems": "Item",
}

// single are those whose value is a schema.
var single = map[string]string{
	"items": "Item", "additionalProperties": "Value", "unevaluatedProperties": "Value", "unevaluatedItems": "Item",
	"contains": "Item", "then": "Then", "else": "Else", "if": "If", "not": "Not", "propertyNames": "Name", "contentSchema": "Content",
}

// nameOf is what the type at p is called: its file's name, if that is a type of
// events, and the names on the way.
func (g *generator) nameOf(p place) string {
	name := g.events[p.file]
	toks := tokens(p.ptr)
	if name == "" && len(toks) == 0 {
		name = fileName(p.file)
	}
	for i := 0; i < len(toks); i++ {
		part, holds := holders[toks[i]]
		if !holds {
			name += single[toks[i]]
			continue
		}
		if i++; i == len(toks) {
			break
		}
		if toks[i-1] != "allOf" {
			name += part + strings.TrimPrefix(goName("a."+toks[i]), "A")
		}
	}
	if name == "" {
		name = fileName(p.file)
	}
	if !unicode.IsUpper([]rune(name)[0]) {
		name = "X" + name
	}
	return name
}

func fileName(file string) string {
	base := filepath.Base(file)
	if name := goName(strings.TrimSuffix(base, filepath.Ext(base))); name != "" {
		return name
	}
	return "Shared"
}
