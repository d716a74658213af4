package webhook

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"eventserver/destinations"
)

// snippetBytes is the most of an answer that an error text holds: poison
// records and log lines carry it.
const snippetBytes = 1 << 10

// scrubber takes our secrets out of text from outside. Receivers do send them
// back: debugging servers and error pages print the request's headers.
type scrubber struct {
	secrets  []string // longest first
	replacer *strings.Replacer
}

func newScrubber(cfg Config, u *url.URL) *scrubber {
	s := &scrubber{}
	add := func(value string) {
		// Servers print what they got as JSON, or as a page.
		for _, form := range []string{value, inJSON(value), strings.ReplaceAll(value, "/", `\/`), html.EscapeString(value)} {
			// What is shorter than this hides nothing and would make every text unreadable.
			if len(form) >= 4 && !slices.Contains(s.secrets, form) {
				s.secrets = append(s.secrets, form)
			}
		}
	}
	basic := func(encoded string) { // what a server makes of "Basic dXNlcjpwYXNz"
		if user, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			if _, password, ok := strings.Cut(string(user), ":"); ok {
				add(string(user))
				add(password)
			}
		}
	}
	for _, secret := range []destinations.Secret{cfg.Secret, cfg.SecretNext} {
		add(secret.Reveal())
		add(strings.TrimPrefix(secret.Reveal(), secretPrefix))
	}
	for _, value := range cfg.Headers {
		add(value)
		if i := strings.LastIndexByte(value, ' '); i >= 0 { // "Bearer token"
			add(value[i+1:])
			if strings.EqualFold(value[:i], "basic") {
				basic(value[i+1:])
			}
		}
	}
	for _, values := range u.Query() {
		for _, value := range values {
			add(value)
			add(url.QueryEscape(value))
		}
	}
	add(u.RawQuery)
	for part := range strings.SplitSeq(u.EscapedPath(), "/") { // the receiver knows its path; whoever reads the poison queue need not
		if destinations.LooksSecret(part) {
			add(part)
		}
	}
	if proxy, err := url.Parse(cfg.Proxy); err == nil && proxy.User != nil {
		password, _ := proxy.User.Password()
		add(password)
		add(proxy.User.String())
		add(base64.StdEncoding.EncodeToString([]byte(proxy.User.Username() + ":" + password)))
	}
	slices.SortFunc(s.secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, secret := range s.secrets {
		pairs = append(pairs, secret, "[secret]")
	}
	s.replacer = strings.NewReplacer(pairs...)
	return s
}

func inJSON(value string) string {
	b, err := json.Marshal(value)
	if err != nil { // of a string: it cannot be
		return ""
	}
	return string(b[1 : len(b)-1])
}

func (s *scrubber) text(t string) string { return s.replacer.Replace(t) }

// snippet is the beginning of an answer, on one line and without secrets.
func (s *scrubber) snippet(body []byte) string {
	text := s.text(string(body))
	// Reading may have stopped in the middle of a secret.
	for _, secret := range s.secrets {
		for n := min(len(secret)-1, len(text)); n >= 4; n-- {
			if strings.HasSuffix(text, secret[:n]) {
				text = text[:len(text)-n]
				break
			}
		}
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > snippetBytes {
		cut := snippetBytes
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	return text
}
