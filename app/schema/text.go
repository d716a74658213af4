package schema

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
func nearest(s string, words []string) string { return textfile.Nearest(s, words, 2) }

// meant is the end of a message about a word that is not known.
func meant(s string, words []string) string {
	if near := nearest(s, words); near != "" {
		return "did you mean " + near + "?"
	}
	sorted := slices.Sorted(slices.Values(words))
	return "known are " + cut(strings.Join(sorted, ", "), maxDetail)
}

func bound(s string) string { return cut(s, maxExcerpt) }

func shownPointer(ptr string) string {
	if ptr == "" {
		return "the top"
	}
	return ptr
}

// fragment writes a JSON pointer as the end of a URI.
func fragment(ptr string) string {
	parts := strings.Split(ptr, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "#" + strings.Join(parts, "/")
}

func unescapeFragment(frag string) (string, error) { return url.PathUnescape(frag) }
