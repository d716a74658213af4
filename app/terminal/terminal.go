package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Cut keeps the first width characters of s, and then says how many bytes size is. A
// width of 0 keeps all.
func Cut(width int, s string, size int) string {
	if width == 0 || len(s) <= width {
		return s
	}
	n := 0
	for i := range s {
		if n == width {
			return fmt.Sprintf("%s... (%d bytes)", s[:i], size)
		}
		n++
	}
	return s
}

// Printable escapes, as JSON does, what would move the cursor, change the
// direction of the text or end the line.
func Printable(s string) string {
	bad := func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !bad(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
