package redact

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Codes that write bytes as digits of 6, 5 or 4 bits. A text may begin anywhere within a
// run of digits, so a run is decoded from each digit on that begins another bit of a byte.

const noDigit = 0xff

// digits are those of one code.
type digits struct {
	bits int       // of a digit
	low  int       // digits of a run that is decoded
	of   [256]byte // which digit a character is, or noDigit
}

// newDigits takes the characters of the digits 0, 1, 2 and so on; of several alphabets
// each may be used.
func newDigits(bits, low int, alphabets ...string) *digits {
	d := &digits{bits: bits, low: low}
	for i := range d.of {
		d.of[i] = noDigit
	}
	for _, alphabet := range alphabets {
		for value := range len(alphabet) {
			d.of[alphabet[value]] = byte(value)
		}
	}
	return d
}

const (
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	decimal = "0123456789"
)

var (
	base64Digits = newDigits(6, 8, upper+lower+decimal+"+/", upper+lower+decimal+"-_")
	base32Upper  = newDigits(5, 13, upper+"234567")
	base32Lower  = newDigits(5, 13, lower+"234567")
	hexDigits    = newDigits(4, 2*shortest, decimal+"abcdef", decimal+"ABCDEF")
)

func fromBase64(s string) string {
	var out readable
	base64Digits.decode(&out, s)
	return out.String()
}

func fromBase32(s string) string {
	var out readable
	base32Upper.decode(&out, s) // in one case or the other
	base32Lower.decode(&out, s)
	return out.String()
}

func fromHex(s string) string {
	var out readable
	hexDigits.decode(&out, s)
	if whole := withoutHexSeparators(s); len(whole) < len(s) {
		hexDigits.decode(&out, whole)
	}
	return out.String()
}

// withoutHexSeparators takes out what stands between hexadecimal digits in dumps and lists.
func withoutHexSeparators(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n', ':', ',', ';', '-', '.', '+', '"', '\'':
		case '0', '\\':
			if i+1 < len(s) && (s[i+1] == 'x' || c == '0' && s[i+1] == 'X') {
				i++
				continue
			}
			b = append(b, c)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// decode adds to out what the runs of digits in s stand for.
func (d *digits) decode(out *readable, s string) {
	var packed, shifted []byte
	for i := 0; i < len(s); i++ {
		from := i
		for i < len(s) && d.of[s[i]] != noDigit {
			i++
		}
		if i-from < d.low {
			continue
		}
		packed = d.pack(packed[:0], s[from:i])
		for at := 0; at == 0 || at*d.bits%8 != 0; at++ {
			skip, shift := packed[at*d.bits/8:], at*d.bits%8
			shifted = slices.Grow(shifted[:0], len(packed))[:(i-from-at)*d.bits/8]
			for j := range shifted {
				two := uint16(skip[j])<<8 | uint16(skip[j+1])
				shifted[j] = byte(two >> (8 - shift))
			}
			out.add(shifted)
		}
	}
}

// pack appends the bits of a run of digits, and a byte of zeros.
func (d *digits) pack(to []byte, run string) []byte {
	bits, n := uint(0), 0
	for i := range len(run) {
		bits, n = bits<<d.bits|uint(d.of[run[i]]), n+d.bits
		if n >= 8 {
			n -= 8
			to = append(to, byte(bits>>n))
		}
	}
	return append(to, byte(bits<<(8-n)), 0)
}

// readable collects the printable runs of decoded bytes.
type readable struct{ strings.Builder }

func (r *readable) add(b []byte) {
	for at := candidate(b, 0); at < len(b); at = candidate(b, at+1) {
		from, length := at, 0 // of the run, without NULs (UTF-16)
		for at < len(b) {
			n, printable := character(b[at:])
			if n == 0 {
				break
			}
			if at += n; printable {
				length += n
			}
		}
		if length >= runLow {
			for _, c := range b[from:at] {
				if c != 0 {
					r.WriteByte(c)
				}
			}
			r.WriteByte('\n')
		}
	}
}

// candidate is where from at on, at the earliest, a run may begin that is long enough: most
// of what is decoded is noise. It looks at pairs of bytes and has no branch for each of them.
func candidate(b []byte, at int) int {
	const ( // kinds; 0 is what is in no run
		single = 1 // printable ASCII, or NUL
		first  = 2 // byte of a character of UTF-8
		later  = 3
	)
	const pairs uint16 = 1<<(single<<2|single) | 1<<(single<<2|first) | 1<<(first<<2|later) | 1<<(later<<2|single) | 1<<(later<<2|first) | 1<<(later<<2|later)
	n, before := 0, byte(0) // pairs in a row
	for i := at; i < len(b); i++ {
		kind := kinds[b[i]]
		n = (n + 1) & -int(pairs>>(before<<2|kind)&1)
		if before = kind; n == runLow-1 {
			return i - n
		}
	}
	return len(b)
}

var kinds = func() (kinds [256]byte) {
	for c := range kinds {
		switch {
		case c >= 0xc2:
			kinds[c] = 2
		case c >= utf8.RuneSelf:
			kinds[c] = 3
		default:
			n, _ := character([]byte{byte(c)})
			kinds[c] = byte(n)
		}
	}
	return kinds
}()

// character is how many bytes of b are one that a run may hold; 0: none.
func character(b []byte) (n int, printable bool) {
	switch c := b[0]; {
	case c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t':
		return 1, true
	case c == 0:
		return 1, false
	case c < 0xc2: // nothing that UTF-8 begins with
		return 0, false
	}
	if what, size := utf8.DecodeRune(b); what != utf8.RuneError {
		return size, true
	}
	return 0, false
}
