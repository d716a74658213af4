package redact

import (
	"encoding/json"
	"html"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Withheld stands for a text that repeats a secret in an encoded form.
const Withheld = "[withheld: it repeats a secret or a value of the event, encoded]"

const (
	secretText = "[secret]"
	tokenText  = "[token]"

	// MaxText is how much of a text is looked at, in bytes. The rest is dropped.
	MaxText = 2 << 10

	lastWord = 512 // bytes that are dropped at most as the last word of a text that was cut

	shortest = 4 // bytes of a secret; what is shorter hides nothing and would make every text unreadable
)

// Redactor knows the secrets of one destination. It is safe for many goroutines.
type Redactor struct {
	forms    []string // of the secrets, longest first
	replacer *strings.Replacer
	needles  needles
	last     atomic.Pointer[[2]string] // a text and what was kept of it: a receiver that is down says the same each time
}

// New makes a Redactor of secrets, of which it ignores those below 4 bytes.
func New(secrets ...string) *Redactor {
	r := &Redactor{}
	for _, secret := range secrets {
		if len(secret) < shortest {
			continue
		}
		r.needles.add(secret)
		for _, form := range formsOf(secret) {
			if len(form) >= shortest && !slices.Contains(r.forms, form) {
				r.forms = append(r.forms, form)
			}
		}
	}
	slices.SortFunc(r.forms, func(a, b string) int { return len(b) - len(a) }) // a secret may be part of another
	pairs := make([]string, 0, 2*len(r.forms))
	for _, form := range r.forms {
		pairs = append(pairs, form, secretText)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

// formsOf are the ways in which servers print v without encoding it. None is shorter.
func formsOf(v string) []string {
	if !strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune(`"'\/<>&`, c) }) {
		return []string{v}
	}
	quoted := strconv.Quote(v)
	ascii := strconv.QuoteToASCII(v)
	return []string{v, inJSON(v), strings.ReplaceAll(v, "/", `\/`), html.EscapeString(v), quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1]}
}

func inJSON(v string) string {
	b, err := json.Marshal(v)
	if err != nil { // of a string: it cannot be
		return ""
	}
	return string(b[1 : len(b)-1])
}

// Text is what may be kept of a text, which was cut off at its end or not. The
// values are those of the event and of its request that are no secrets: they may
// stand there as they are, which is the caller's business, but not encoded.
func (r *Redactor) Text(text string, cut bool, values ...string) string {
	return r.TextOf(text, cut, func() []string { return values })
}

// TextOf is Text with values that take long to list. It asks for them when it has to
// look for them, and not for a text that came before.
func (r *Redactor) TextOf(text string, cut bool, values func() []string) string {
	if len(text) > MaxText {
		text, cut = text[:MaxText], true
	}
	text = r.replacer.Replace(text)
	if cut {
		text = r.withoutBegun(text)
	}
	// Where another event got the same answer it holds nothing of this one that
	// it did not hold of that one.
	if last := r.last.Load(); last != nil && last[0] == text {
		return last[1]
	}
	kept := Withheld
	if r.clear(text, values()) {
		kept = withoutTokens(text)
	}
	r.last.Store(&[2]string{text, kept})
	return kept
}

// withoutBegun takes from the end of a text that was cut what may be the
// beginning of a secret: the last word, and the words of a secret that has several.
func (r *Redactor) withoutBegun(text string) string {
	text = text[:max(strings.LastIndexAny(text, " \t\r\n"), len(text)-lastWord, 0)]
	for _, form := range r.forms {
		for n := min(len(form)-1, len(text)); n >= shortest; n-- {
			if strings.HasSuffix(text, form[:n]) {
				return text[:len(text)-n]
			}
		}
	}
	return text
}

// clear reports whether no decoding of text holds a secret or one of the values.
func (r *Redactor) clear(text string, values []string) bool {
	v := newSent(values)
	return eachDecoding(v.without(text), func(form string) bool {
		squeezed := squeeze(form)
		return !r.needles.in(form, squeezed) && !v.have(squeezed)
	}) && !v.compare()
}

const (
	longestWord = 32 // characters of a run from which it may be a token
	longestPart = 20 // characters between the dashes of a name, such as a host's
)

// withoutTokens hides what looks like a key, a digest or something compressed.
func withoutTokens(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := 0
		for n < len(text) && isToken(text[n]) {
			n++
		}
		switch run := text[:n]; {
		case n == 0:
			n = 1
			b.WriteByte(text[0])
		case n >= longestWord && opaque(run):
			b.WriteString(tokenText)
		default:
			b.WriteString(run)
		}
		text = text[n:]
	}
	return b.String()
}

func isToken(c byte) bool { return isAlnum(c) || c == '+' || c == '-' || c == '_' || c == '=' }

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// opaque tells a token from a word, a name or a UUID: a long part of it has
// digits, or both cases.
func opaque(run string) bool {
	for part := range strings.FieldsFuncSeq(run, func(r rune) bool { return r == '-' || r == '_' }) {
		if len(part) >= longestPart && (strings.ContainsAny(part, "0123456789") || strings.ToLower(part) != part && strings.ToUpper(part) != part) {
			return true
		}
	}
	return false
}
