package redact

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	maskText = "[event]" // what stands for a value of the event
	maskLow  = 4         // bytes; what is shorter is in every text
	maskPart = 16        // bytes of a longer value that are enough to know it: texts are cut
)

// Masked takes the values of an event's body out of a text about it: those of
// its members where it is JSON, its words otherwise. The names of members stay,
// which errors are about. It is asked only when something has failed.
// Others are values that are not in the body, such as the key.
func Masked(text string, body []byte, others ...string) string {
	if len(text) < maskLow {
		return text
	}
	s := newSought(text)
	s.inBody(body)
	for _, v := range others {
		s.add([]byte(v), false)
	}
	var there []string // the forms of values that text has
	for v := range s.values {
		for _, form := range s.formsOf(v) {
			if strings.Contains(text, form) {
				there = append(there, form)
			}
		}
	}
	slices.SortFunc(there, func(a, b string) int { return len(b) - len(a) }) // a value may be part of another
	for _, form := range there {
		text = strings.ReplaceAll(text, form, maskText)
	}
	// What begins like a value and goes on otherwise was cut, or written in a
	// form that is not known. Nobody can tell where it ends.
	for v := range s.values {
		if len(v) >= maskPart {
			if i := strings.Index(text, v[:maskPart]); i >= 0 {
				text = text[:i] + maskText
			}
		}
	}
	return text
}

// inBody seeks the values of a body.
func (s *sought) inBody(body []byte) {
	if s.inJSON(body) {
		return
	}
	clear(s.values)
	const most = 64 << 10 // bytes that are looked at
	for word := range bytes.FieldsFuncSeq(body[:min(len(body), most)], func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@+", r)
	}) {
		s.add(word, false)
	}
}

// formsOf are how the text may write v: as it is, and between quotes, once and
// twice. Few values need more than the first. What is longer than the text is in it
// cleaned and cut, if at all.
func (s *sought) formsOf(v string) []string {
	if len(v) > len(s.text) {
		return []string{Clean(v)}
	}
	forms := []string{v}
	plain := !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&'/`, r) })
	if plain {
		return forms
	}
	forms = append(forms, Clean(v), strings.ReplaceAll(v, "/", `\/`))
	for _, once := range []string{strconv.Quote(v), strconv.QuoteToASCII(v), jsonText(v), plainJSON(v)} {
		inner := once[1 : len(once)-1]
		twice := strconv.Quote(inner)
		forms = append(forms, inner, strings.ReplaceAll(inner, "/", `\/`), twice[1:len(twice)-1])
	}
	return forms
}

// jsonText writes v as most programs do in Go, plainJSON as most others.
func jsonText(v string) string {
	b, err := json.Marshal(v)
	if err != nil { // of a string: it cannot be
		return `""`
	}
	return string(b)
}

func plainJSON(v string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // as above
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
