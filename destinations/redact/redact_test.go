package redact

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// encodings are the ways in which a receiver may print what it got. Each is of a
// whole text, in which the secret stands somewhere.
var encodings = map[string]func(string) string{
	"base64":         func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64, no pad": func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	"base64, URL":    func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	"base64, lines":  func(s string) string { return lines(base64.StdEncoding.EncodeToString([]byte(s)), 19, "\r\n") },
	"base64, JSON": func(s string) string {
		return strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(s)), "/", `\/`)
	},
	"base64 of UTF-16": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(lines(s, 1, "\x00"))) },
	"base32":           func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) },
	"base32, lower":    func(s string) string { return strings.ToLower(base32.StdEncoding.EncodeToString([]byte(s))) },
	"hex":              func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":              func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"hex, colons":      func(s string) string { return lines(hex.EncodeToString([]byte(s)), 2, ":") },
	"hex, C":           func(s string) string { return "{0x" + lines(hex.EncodeToString([]byte(s)), 2, ", 0x") + "}" },
	"hex dump":         func(s string) string { return lines(lines(hex.EncodeToString([]byte(s)), 2, " "), 48, "\n") },
	"percent":          url.QueryEscape,
	"percent, all":     func(s string) string { return "%" + lines(hex.EncodeToString([]byte(s)), 2, "%") },
	"percent, twice":   func(s string) string { return url.QueryEscape("%" + lines(hex.EncodeToString([]byte(s)), 2, "%")) },
	"quoted-printable": func(s string) string {
		var b strings.Builder
		w := quotedprintable.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return b.String()
	},
	"quoted, all": func(s string) string {
		return "=" + lines(lines(strings.ToUpper(hex.EncodeToString([]byte(s))), 2, "="), 30, "=\n")
	},
	"JSON": func(s string) string {
		b, _ := json.Marshal(s)
		return string(b)
	},
	"JSON, twice": func(s string) string { return strconv.Quote(strconv.Quote(s)) },
	"\\u":         func(s string) string { return each(s, "\\u%04x") },
	"\\u{}":       func(s string) string { return each(s, "\\u{%x}") },
	"\\x":         func(s string) string { return each(s, "\\x%02X") },
	"octal":       func(s string) string { return each(s, "\\%03o") },
	"HTML":        html.EscapeString,
	"&#":          func(s string) string { return each(s, "&#%d;") },
	"&#x":         func(s string) string { return each(s, "&#x%X;") },
	"codes":       func(s string) string { return strings.ReplaceAll(fmt.Sprintf("%d", []byte(s)), " ", ", ") },
	"upper":       strings.ToUpper,
	"lower":       strings.ToLower,
	"backwards":   backwards,
	"ROT13":       func(s string) string { return strings.Map(rot13, s) },
	"lines":       func(s string) string { return lines(s, 5, "\n") },
	"characters":  func(s string) string { return `["` + lines(s, 1, `","`) + `"]` },
	"unseen":      func(s string) string { return lines(s, 1, "\u200b") }, // a space without width
	"bullets":     func(s string) string { return lines(s, 1, " \u2022\u00a0") },
	"Go":          func(s string) string { return fmt.Sprintf("%q", s) },
	"plain":       func(s string) string { return s },
}

func each(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

// lines puts sep between every n bytes.
func lines(s string, n int, sep string) string {
	var parts []string
	for part := range slices.Chunk([]byte(s), n) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, sep)
}

func names() []string {
	var out []string
	for name := range encodings {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Whatever common encoding a receiver uses, and two of them over one another, no
// ten characters of a secret can be read in what is kept.
func TestNoEncodingBringsASecretThrough(t *testing.T) {
	secrets := []string{"hunter2-token/with+more=", "Zm9yYmlkZGVuIGZydWl0cyBhcmU=", "correct horse battery staple", "sesame-open", "kJ8#mQ2$vL5"}
	r := New(secrets...)
	for i, secret := range secrets {
		for _, around := range []string{"", "a", "ab", "X-Key: "} {
			text := around + secret + "\nUser-Agent: eventserver\n"
			for _, first := range names() {
				once := encodings[first](text)
				check(t, r, secret, first, once)
				for _, second := range names() {
					if (i > 0 || testing.Short()) && around != "ab" || i > 0 && testing.Short() {
						break // the others are tried alone
					}
					switch {
					case (second == "upper" || second == "lower") && strings.HasPrefix(first, "base64"):
						continue // who changes the case of base64 has nothing to decode
					case second == "ROT13", first == "codes" && slices.Contains([]string{"lines", "characters", "unseen", "bullets"}, second):
						continue // nobody writes a code so
					}
					check(t, r, secret, first+" in "+second, encodings[second](once))
				}
			}
		}
	}
}

// check decodes what is kept by itself and looks for the secret.
func check(t *testing.T, r *Redactor, secret, name, text string) {
	t.Helper()
	got := r.Text("it says: "+text+" and no more", false)
	if got == Withheld {
		return
	}
	secret = squeeze(secret)
	if s := squeeze(got); strings.Contains(s, secret) || strings.Contains(squeeze(backwards(got)), secret) || strings.Contains(got, text) && !strings.Contains(text, secretText) {
		t.Errorf("%s of %q is kept: %q", name, secret, got)
	}
}

// The same at any place of any text, with secrets of any kind.
func TestAnySecretAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9+/=_.~-]{12,80}`).Filter(func(s string) bool { return len(squeeze(s)) >= window }).Draw(rt, "secret")
		before := rapid.StringMatching(`[ -~]{0,40}`).Draw(rt, "before")
		after := rapid.StringMatching(`[ -~]{0,40}`).Draw(rt, "after")
		name := rapid.SampledFrom(names()).Draw(rt, "encoding")
		text := encodings[name](before + secret + after)
		if got := New(secret).Text(text, false); strings.Contains(squeeze(got), squeeze(secret)) || got != Withheld && !strings.Contains(got, secretText) && !strings.Contains(got, tokenText) {
			rt.Errorf("%s: kept %q", name, got)
		}
	})
}

// Values of the event may stand as they are, for others to mask, but not encoded.
func TestValuesAreWithheldWhenEncoded(t *testing.T) {
	const value = "4111-1111-1111-1111 <Zoë>"
	r := New("a secret of ours")
	for _, name := range names() {
		text := "no such card: " + encodings[name](value)
		got := r.Text(text, false, value)
		switch name {
		case "plain", "JSON", "JSON, twice", "HTML", "Go": // others know these forms
			if got == Withheld {
				t.Errorf("%s is withheld", name)
			}
		case "lower": // of digits, almost
		default:
			if got == text {
				t.Errorf("%s is kept: %s", name, got)
			}
		}
	}
	if got := r.Text("the customer is not known", false, "customer"); got != "the customer is not known" {
		t.Errorf("a word that is in every text: %s", got)
	}
}

// What a receiver says is kept where it says nothing of ours.
func TestOrdinaryAnswersAreKept(t *testing.T) {
	r := New("hunter2-token/with+more=", "prod", "application/json", "sesame-open")
	for _, text := range []string{
		"", "no", "order 17 is not known", `{"error":{"code":"invalid_request","message":"total: must be a number","doc":"https://docs.example.com/errors#invalid_request"}}`,
		"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx/1.27.3</center></body></html>",
		"Product not found", "request 0e4f7c1e-3c58-4c8e-9d0c-6a9b1f1f2d3c failed", "id 01JGQ3V7N8Y5W6X7Z8A9B0C1D2", "100% of 3 < 4 && \\o/", "ümlaut – fehlt",
		"lookup eventserver-kafka-cluster-live-broker-12.kafka.svc: no such host", "the_quick_brown_fox_jumps_over_2_lazy_dogs",
		"upstream connect error or disconnect/reset before headers. reset reason: connection timeout",
	} {
		if got := r.Text(text, false); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	for text, want := range map[string]string{
		"key hunter2-token/with+more= is old": "key [secret] is old",
		"in prod only":                        "in [secret] only",
		"digest 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae": "digest [token]",
		"traceparent 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":     "traceparent [token]",
		"in PROD only": Withheld,
		"SESAME-OPEN":  Withheld,
	} {
		if got := r.Text(text, false); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// The end of a text that was cut may be the beginning of a secret.
func TestCutText(t *testing.T) {
	r := New("hunter2 with words", "sesame-open-the-door")
	for text, want := range map[string]string{
		"the key is sesame-op": "the key is", "the key is hunter2 wi": "the key is ", "it was said twi": "it was said", "single": "",
	} {
		if got := r.Text(text, true); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := r.Text(strings.Repeat("word ", 2000), false); len(got) > MaxText {
		t.Errorf("%d bytes", len(got))
	}
}

// Nobody can make the search long: what unfolds too far is withheld.
func TestTooMuchToDecodeIsWithheld(t *testing.T) {
	text := strings.Repeat("%25", MaxText/3)
	for range 3 {
		text = url.QueryEscape(text)[:MaxText]
	}
	work := 0
	eachDecoding(text, func(form string) bool { work += len(form); return true })
	if work > maxWork+MaxText*(len(decoders)+2) {
		t.Errorf("%d bytes were looked through", work)
	}
}

// A thousand destinations without a secret have a thousand redactors.
func TestWithoutASecretNothingIsHeld(t *testing.T) {
	if n := New().needles; n.heads != nil || n.windows != nil || n.in("a text", "atext") {
		t.Errorf("%d words, %d windows", len(n.heads), len(n.windows))
	}
}

func FuzzText(f *testing.F) {
	for _, name := range names() {
		f.Add(encodings[name]("X-Key: hunter2-token/with+more=\n"), true)
	}
	r := New("hunter2-token/with+more=")
	f.Fuzz(func(t *testing.T, text string, cut bool) {
		got := r.Text(text, cut, "4111-1111-1111-1111")
		if len(got) > MaxText+len(tokenText)*MaxText/longestWord+len(Withheld) || strings.Contains(squeeze(got), "hunter2tokenwithmore") {
			t.Errorf("%q", got)
		}
	})
}

func BenchmarkText(b *testing.B) {
	r := New("hunter2-token/with+more=", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "sesame-open")
	page := strings.Repeat("<p>upstream connect error or disconnect/reset before headers</p>\n", 70)
	for name, text := range map[string]string{"sentence": "order 17 is not known", "page": page[:MaxText]} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r.last.Store(nil); r.Text(text, false) != text {
					b.Fatal(name)
				}
			}
		})
	}
}

// The values of a payload were listed for each failed attempt, also of a receiver that
// says the same each time.
func TestValuesAreListedForANewText(t *testing.T) {
	r, listed := New("secret-of-ours"), 0
	for _, text := range []string{"not now", "not now", "not now", "never"} {
		if got := r.TextOf(text, false, func() []string { listed++; return []string{"a value of the event"} }); got != text {
			t.Errorf("got %q", got)
		}
	}
	if listed != 2 {
		t.Errorf("listed %d times for two texts", listed)
	}
}
