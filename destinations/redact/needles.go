package redact

import (
	"slices"
	"strings"
)

const (
	window   = 10 // characters of a longer secret that are enough to know it
	squeezed = 8  // characters from which a secret is known in pieces, too
)

// needles are what is looked for in the decodings of a text. Case does not
// count. A long secret is known by any ten of its letters and digits in a row,
// whatever stands between them; a short one where it stands as a word.
type needles struct {
	windows map[string]struct{} // of squeezed text, each of window bytes
	heads   []uint64            // which three bytes windows begin with, hashed: most places need no lookup; 8 KiB, nil without windows
	wholes  []string            // of squeezed text
	words   []string            // of lower-case text
}

func (n *needles) add(secret string) {
	n.addForm(secret)
	n.addForm(strings.Map(rot13, secret)) // so that no text has to be turned
}

func (n *needles) addForm(secret string) {
	switch s := squeeze(secret); {
	case len(s) >= window:
		n.addWindows(s)
	case len(s) >= squeezed:
		n.wholes = append(n.wholes, s)
	default:
		n.words = append(n.words, strings.ToLower(strings.TrimSpace(secret)))
	}
}

func (n *needles) addWindows(s string) {
	if n.heads == nil {
		n.windows, n.heads = map[string]struct{}{}, make([]uint64, 1<<10)
	}
	for i := range len(s) - window + 1 {
		h := head(s[i:])
		n.heads[h>>6] |= 1 << (h & 63)
		n.windows[s[i:i+window]] = struct{}{}
	}
}

func head(s string) uint16 { return uint16(s[0])*961 + uint16(s[1])*31 + uint16(s[2]) }

// in reports whether a needle is in a text, which is given squeezed too.
func (n *needles) in(text, squeezed string) bool {
	if len(n.windows) > 0 {
		for i := range len(squeezed) - window + 1 {
			if h := head(squeezed[i:]); n.heads[h>>6]&(1<<(h&63)) == 0 {
				continue
			}
			if _, ok := n.windows[squeezed[i:i+window]]; ok {
				return true
			}
		}
	}
	for _, whole := range n.wholes {
		if strings.Contains(squeezed, whole) {
			return true
		}
	}
	if len(n.words) == 0 {
		return false
	}
	lower := strings.ToLower(text)
	for _, word := range n.words {
		if hasWord(lower, word) {
			return true
		}
	}
	return false
}

// hasWord reports whether word stands in text between what is no letter or digit.
func hasWord(text, word string) bool {
	for from := 0; word != ""; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(word)
		if (i == 0 || !isAlnum(text[i-1])) && (end == len(text) || !isAlnum(text[end])) {
			return true
		}
		from = i + 1
	}
	return false
}

// squeeze leaves the letters and digits of a text, in lower case, and what is
// not ASCII.
func squeeze(s string) string { return string(appendSqueezed(make([]byte, 0, len(s)), s)) }

func appendSqueezed(b []byte, s string) []byte {
	n := len(b)
	b = slices.Grow(b, len(s))[:n+len(s)]
	for i := range len(s) {
		c := squeezes[s[i]]
		if b[n] = c; c != 0 { // mostly without a branch
			n++
		}
	}
	return b[:n]
}

var squeezes = func() (to [256]byte) { // 0: nothing is left
	for i := range to {
		switch c := byte(i); {
		case c >= 'A' && c <= 'Z':
			to[i] = c + 'a' - 'A'
		case isAlnum(c), c >= 0x80:
			to[i] = c
		}
	}
	return to
}()
