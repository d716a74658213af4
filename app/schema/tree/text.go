package tree

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"eventserver/app/textfile"
)

// What a message may repeat of a value or a file, in bytes: messages go into
// answers and logs.
const (
	MaxDetail  = 300
	MaxExcerpt = 32
	MaxPointer = 512
)

// Cut shortens s to at most limit bytes, at a character, with "..." at its end.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := limit - len("...")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// Quote is s in quotes, shortened.
func Quote(s string) string { return strconv.Quote(Cut(s, MaxExcerpt)) }

// Escape writes a name as a token of a JSON pointer.
func Escape(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// PointerTo writes tokens as a JSON pointer.
func PointerTo(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + Escape(t))
	}
	return b.String()
}

// Bounded points to the nearest value whose pointer is short enough: a name may
// be as long as the event.
func Bounded(ptr string) string {
	for len(ptr) > MaxPointer {
		ptr = ptr[:strings.LastIndexByte(ptr, '/')]
	}
	return ptr
}

// Tokens splits a JSON pointer (RFC 6901); false when it is none.
func Tokens(ptr string) ([]string, bool) {
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

// Nearest is the word that s may have been meant to be, or "".
func Nearest(s string, words []string) string { return textfile.Nearest(s, words, 2) }

// Meant is the end of a message about a word that is not known.
func Meant(s string, words []string) string {
	if near := Nearest(s, words); near != "" {
		return "did you mean " + near + "?"
	}
	sorted := slices.Sorted(slices.Values(words))
	return "known are " + Cut(strings.Join(sorted, ", "), MaxDetail)
}

// Bound is a bound of a schema, shortened.
func Bound(s string) string { return Cut(s, MaxExcerpt) }

// ShownPointer is a JSON pointer as messages show it.
func ShownPointer(ptr string) string {
	if ptr == "" {
		return "the top"
	}
	return ptr
}

// Fragment writes a JSON pointer as the end of a URI.
func Fragment(ptr string) string {
	parts := strings.Split(ptr, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "#" + strings.Join(parts, "/")
}

func unescapeFragment(frag string) (string, error) { return url.PathUnescape(frag) }
