package redact

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
)

const (
	valueLow = 12       // characters of an event's value; words that are in every text are shorter
	turn     = 16 << 10 // bytes of decodings that are compared with the values at a time
)

// sent are the values of an event. They are far more than what a text decodes to. So the
// windows of the decodings are noted, some at a time, and those of the values looked up.
type sent struct {
	values   []string // those that are long enough
	squeezed []byte   // all of them, a 1 after each
	forms    []byte   // decodings that are not compared yet, squeezed, a 0 after each
}

func newSent(values []string) *sent {
	s := &sent{}
	total, seen := 0, make(map[string]struct{}, len(values))
	for _, v := range values {
		if _, again := seen[v]; !again && len(v) >= valueLow {
			seen[v] = struct{}{}
			s.values = append(s.values, v)
			total += len(v) + 1
		}
	}
	s.squeezed = make([]byte, 0, total)
	s.values = slices.DeleteFunc(s.values, func(v string) bool {
		before := len(s.squeezed)
		if s.squeezed = appendSqueezed(s.squeezed, v); len(s.squeezed)-before < valueLow {
			s.squeezed = s.squeezed[:before]
			return true
		}
		s.squeezed = append(s.squeezed, 1)
		return false
	})
	return s
}

// without takes the values out of a text where they stand as they are.
func (s *sent) without(text string) string {
	var plain []string
	for _, v := range s.values {
		if len(v) > len(text) || !mayHave(text, v) { // no form is shorter
			continue
		}
		for _, form := range formsOf(v) {
			if strings.Contains(text, form) {
				plain = append(plain, form, " ")
			}
		}
	}
	if len(plain) == 0 {
		return text
	}
	return strings.NewReplacer(plain...).Replace(text)
}

// mayHave reports whether a form of v may be in text: the parts that are the same in all
// forms are.
func mayHave(text, v string) bool {
	for from := 0; from < len(v); {
		n := from
		for n < len(v) && isAlnum(v[n]) {
			n++
		}
		if n > from && !strings.Contains(text, v[from:n]) {
			return false
		}
		from = n + 1
	}
	return true
}

// have reports whether a value is in the decodings, as far as they were compared.
func (s *sent) have(squeezed string) bool {
	if len(s.values) == 0 || len(squeezed) < window {
		return false
	}
	s.forms = append(append(s.forms, squeezed...), 0)
	return len(s.forms) >= turn && s.compare()
}

// compare reports whether a value is in the decodings that were not compared yet. They
// are noted in a Bloom filter of 32 bits a window, with four of one word for each.
func (s *sent) compare() bool {
	if len(s.forms) == 0 {
		return false
	}
	for _, c := range s.forms {
		s.forms = append(s.forms, byte(rot13(rune(c))))
	}
	size := bits.Len(uint(len(s.forms) / 2))
	filter := make([]uint64, 1<<size)
	for i := range len(s.forms) - window + 1 {
		h := windowHash(s.forms[i:])
		filter[h>>(64-size)] |= windowBits(h)
	}
	for i := range len(s.squeezed) - window + 1 {
		h := windowHash(s.squeezed[i:])
		if want := windowBits(h); filter[h>>(64-size)]&want == want && bytes.Contains(s.forms, s.squeezed[i:i+window]) {
			return true
		}
	}
	s.forms = s.forms[:0]
	return false
}

// windowHash is of the window bytes at the beginning of b.
func windowHash(b []byte) uint64 {
	high, low := bits.Mul64(binary.LittleEndian.Uint64(b)^0x9e3779b97f4a7c15, binary.LittleEndian.Uint64(b[window-8:])^0xbf58476d1ce4e5b9)
	return high ^ low
}

func windowBits(h uint64) uint64 {
	return 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63) | 1<<(h>>18&63)
}
