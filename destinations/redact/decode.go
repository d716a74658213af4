package redact

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth = 4         // decodings after one another
	maxWork  = 512 << 10 // bytes of all decodings of a text
	runLow   = 6         // printable bytes in a row that a decoder has to bring out: what is no code decodes to noise
)

// eachDecoding calls ok with text and all its decodings but ROT13, until one is not. It
// returns whether all were; false too when there are too many.
func eachDecoding(text string, ok func(form string) bool) bool {
	type form struct {
		text  string
		depth int
	}
	seen := map[string]bool{text: true}
	work := len(text)
	for queue := []form{{text: text}}; len(queue) > 0; queue = queue[1:] {
		f := queue[0]
		if !ok(f.text) {
			return false
		}
		if f.depth == maxDepth {
			continue
		}
		for _, decode := range decoders {
			if s := decode(f.text); len(s) >= shortest && !seen[s] {
				seen[s] = true
				work += len(s)
				queue = append(queue, form{s, f.depth + 1})
			}
		}
		if work > maxWork {
			return false
		}
	}
	return true
}

var decoders = []func(string) string{
	backwards, joined, ascii, percent, quotedPrintable, html.UnescapeString, backslash, fromBase64, fromBase32, fromHex, fromCodes,
}

var joints = strings.NewReplacer("\r", "", "\n", "", "\t", "", " ", "", `"`, "", "'", "", ",", "")

// joined is a text without what divides it into lines, words or characters. What
// separates the characters of a list of codes stays at their ends.
func joined(s string) string { return joints.Replace(s) }

// ascii is a text without what is not ASCII: spaces without width, bullets and the
// like divide a secret as well. It is empty where there is nothing of that.
func ascii(s string) string {
	if isASCII(s) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return -1
		}
		return r
	}, s)
}

func isASCII(s string) bool {
	var all byte
	for i := range len(s) {
		all |= s[i]
	}
	return all < utf8.RuneSelf
}

func backwards(s string) string {
	b := make([]byte, len(s))
	if isASCII(s) {
		for i := range b {
			b[len(b)-1-i] = s[i]
		}
		return string(b)
	}
	for at := 0; at < len(s); {
		n := 1
		if s[at] >= utf8.RuneSelf {
			_, n = utf8.DecodeRuneInString(s[at:])
		}
		copy(b[len(s)-at-n:], s[at:at+n])
		at += n
	}
	return string(b)
}

func rot13(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return 'a' + (r-'a'+13)%26
	case r >= 'A' && r <= 'Z':
		return 'A' + (r-'A'+13)%26
	}
	return r
}

// hexRune reads n hexadecimal digits at the beginning of s.
func hexRune(s string, n int) (r rune, ok bool) {
	if len(s) < n {
		return 0, false
	}
	for i := range n {
		v := hexDigits.of[s[i]]
		if v == noDigit {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	return r, true
}

// unescape replaces what replace knows at each mark: it returns how long it is,
// mark included, and what it stands for; 0: nothing.
func unescape(s string, mark byte, replace func(at string) (n int, by string)) string {
	if strings.IndexByte(s, mark) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		if s[0] == mark {
			if n, by := replace(s); n > 0 {
				b.WriteString(by)
				s = s[n:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}

func percent(s string) string {
	return unescape(s, '%', func(at string) (int, string) {
		if r, ok := hexRune(at[1:], 2); ok {
			return 3, string([]byte{byte(r)})
		}
		if len(at) > 1 && (at[1] == 'u' || at[1] == 'U') {
			if r, ok := hexRune(at[2:], 4); ok {
				return 6, string(r)
			}
		}
		return 0, ""
	})
}

func quotedPrintable(s string) string {
	return unescape(s, '=', func(at string) (int, string) {
		if r, ok := hexRune(at[1:], 2); ok {
			return 3, string([]byte{byte(r)})
		}
		for _, soft := range []string{"=\r\n", "=\n"} {
			if strings.HasPrefix(at, soft) {
				return len(soft), ""
			}
		}
		return 0, ""
	})
}

// backslash reads the escapes of JSON, JavaScript, C and Python.
func backslash(s string) string {
	return unescape(s, '\\', func(at string) (int, string) {
		if len(at) < 2 {
			return 0, ""
		}
		switch c := at[1]; c {
		case 'n', 'r', 't', 'f', 'v':
			return 2, " "
		case 'x', 'X':
			if r, ok := hexRune(at[2:], 2); ok {
				return 4, string([]byte{byte(r)})
			}
		case 'u', 'U':
			if inner, _, ok := strings.Cut(at[2:], "}"); ok && strings.HasPrefix(inner, "{") {
				if r, err := strconv.ParseUint(inner[1:], 16, 21); err == nil {
					return len(inner) + 3, string(rune(r))
				}
			}
			if r, ok := hexRune(at[2:], 8); ok && c == 'U' {
				return 10, string(r)
			}
			if r, ok := hexRune(at[2:], 4); ok {
				return 6, string(r)
			}
		case '0', '1', '2', '3':
			if len(at) >= 4 {
				if r, err := strconv.ParseUint(at[1:4], 8, 8); err == nil {
					return 4, string([]byte{byte(r)})
				}
			}
		default:
			return 2, string(c)
		}
		return 0, ""
	})
}

// fromCodes reads lists of character codes, such as [67, 65, 78].
func fromCodes(s string) string {
	var out readable
	var b []byte
	for gap := 0; ; {
		if len(b) == 0 {
			s = s[untilDigit(s):]
		}
		if s == "" {
			break
		}
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		if n == 0 {
			if gap++; isAlnum(s[0]) || gap > 4 {
				out.add(b)
				b = b[:0]
			}
			s = s[1:]
			continue
		}
		if code, err := strconv.ParseUint(s[:n], 10, 8); err == nil {
			b = append(b, byte(code))
		} else {
			out.add(b)
			b = b[:0]
		}
		gap, s = 0, s[n:]
	}
	out.add(b)
	return out.String()
}

func untilDigit(s string) int {
	for i := range len(s) {
		if s[i]-'0' <= 9 {
			return i
		}
	}
	return len(s)
}
