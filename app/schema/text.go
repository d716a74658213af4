package schema

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a message may repeat of a value or a file, in bytes: messages go into
// answers and logs.
const (
	maxDetail  = 300
	maxExcerpt = 32
	maxPointer = 512
)

// cut shortens s to at most limit bytes, at a character, with "..." at its end.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := limit - len("...")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// quote is s in quotes, shortened.
func quote(s string) string { return strconv.Quote(cut(s, maxExcerpt)) }

// escape writes a name as a token of a JSON pointer.
func escape(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

func pointerTo(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + escape(t))
	}
	return b.String()
}

// bounded points to the nearest value whose pointer is short enough: a name may
// be as long as the event.
func bounded(ptr string) string {
	for len(ptr) > maxPointer {
		ptr = ptr[:strings.LastIndexByte(ptr, '/')]
	}
	return ptr
}

// tokens splits a JSON pointer (RFC 6901); false when it is none.
func tokens(ptr string) ([]string, bool) {
	if ptr == "" {
		return nil, true
	}
	if ptr[0] != '/' {
		return nil, false
	}
	list := strings.Split(ptr[1:], "/")
	for i, t := range list {
		for rest := t; ; {
			_, after, found := strings.Cut(rest, "~")
			if !found {
				break
			}
			if after == "" || after[0] != '0' && after[0] != '1' {
				return nil, false
			}
			rest = after
		}
		list[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return list, true
}

// nearest is the word that s may have been meant to be, or "".
func nearest(s string, words []string) string {
	best, limit := "", 2
	if len(s) > 64 { // no keyword is so long, and the distance is quadratic
		return ""
	}
	for _, w := range words {
		if d := distance(strings.ToLower(s), strings.ToLower(w)); d <= limit && d < len(w) {
			best, limit = w, d-1
		}
	}
	return best
}

// distance counts insertions, deletions and replacements.
func distance(a, b string) int {
	last, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
		}
		last, row = row, last
	}
	return last[len(b)]
}

// meant is the end of a message about a word that is not known.
func meant(s string, words []string) string {
	if near := nearest(s, words); near != "" {
		return "did you mean " + near + "?"
	}
	sorted := slices.Sorted(slices.Values(words))
	return "known are " + cut(strings.Join(sorted, ", "), maxDetail)
}
