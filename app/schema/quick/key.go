package quick

import (
	"eventserver/app/schema/tree"
	"fmt"
	"strconv"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// maxKey is the longest ordering key, in bytes; the envelope's limit.
const maxKey = 512

// KeyAt is the ordering key at ptr in an event, whose tokens are path. Call Check first:
// KeyAt does not check the rest.
func KeyAt(data []byte, ptr string, path []string) (string, *Refusal) {
	d := open(data)
	defer d.release()
	fault := func(detail string) *Refusal {
		return &Refusal{Pointer: ptr, Rule: RuleKey, Detail: tree.Cut(detail, tree.MaxDetail)}
	}
	for _, token := range path {
		// enter stops at faults of the JSON, which decode then tells.
		if !d.enter(token) {
			if _, bad := decode(data, nil, nil); bad != nil {
				return "", bad
			}
			return "", fault("is missing; the ordering key is needed")
		}
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		return "", d.violation(err)
	}
	switch kind := raw.Kind(); kind {
	case '"':
		return checkKey(unquote(raw), fault)
	case '0':
		if !tree.Fitting(string(raw)) || !tree.IsInteger(tree.Number(string(raw))) {
			return "", fault("must be a string or an integer but is " + tree.Cut(string(raw), tree.MaxExcerpt))
		}
		return checkKey(tree.Rat(tree.Number(string(raw))).Num().String(), fault)
	default:
		return "", fault("must be a string or an integer but is " + kindName(kind))
	}
}

// enter reads up to the value that a token of a pointer names in the next value.
func (d *decoder) enter(token string) bool {
	tok, err := d.dec.ReadToken()
	if err != nil {
		return false
	}
	object := tok.Kind() == '{'
	if !object && tok.Kind() != '[' {
		return false
	}
	for i := 0; ; i++ {
		name := strconv.Itoa(i)
		switch kind := d.dec.PeekKind(); {
		case kind == ']' || kind == '}':
			return false
		case object:
			tok, err := d.dec.ReadToken()
			if err != nil {
				return false
			}
			name = tok.String()
		}
		if name == token {
			return true
		}
		if d.dec.SkipValue() != nil {
			return false
		}
	}
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '{':
		return "an object"
	default:
		return "an array"
	}
}

// checkKey asks what the envelope asks of key and userId.
func checkKey(key string, fault func(string) *Refusal) (string, *Refusal) {
	if key == "" {
		return "", fault("must not be empty")
	}
	if len(key) > maxKey {
		return "", fault(fmt.Sprintf("must be at most %d bytes, not %d", maxKey, len(key)))
	}
	for i, r := range key {
		if unicode.IsControl(r) {
			return "", fault(fmt.Sprintf("holds the control character U+%04X at byte %d; remove it", r, i))
		}
	}
	return key, nil
}
