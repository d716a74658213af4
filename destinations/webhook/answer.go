package webhook

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"eventserver/destinations"
	"eventserver/destinations/redact"
)

// snippetBytes is the most of an answer that an error text holds: poison
// records and log lines carry it.
const snippetBytes = 1 << 10

// newRedactor knows all that authenticates us, as we send it and as a server
// reads it.
func newRedactor(cfg Config, u *url.URL) *redact.Redactor {
	var secrets []string
	add := func(values ...string) { secrets = append(secrets, values...) }
	basic := func(encoded string) { // what a server makes of "Basic dXNlcjpwYXNz"
		if user, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			if _, password, ok := strings.Cut(string(user), ":"); ok {
				add(string(user), password)
			}
		}
	}
	for _, secret := range []destinations.Secret{cfg.Secret, cfg.SecretNext} {
		add(secret.Reveal(), strings.TrimPrefix(secret.Reveal(), secretPrefix))
		if key, err := decodeSecret(secret); err == nil {
			add(string(key))
		}
	}
	for _, value := range cfg.Headers {
		add(value)
		if i := strings.LastIndexByte(value, ' '); i >= 0 { // "Bearer token"
			add(value[i+1:])
			if strings.EqualFold(value[:i], "basic") {
				basic(value[i+1:])
			}
		}
		for part := range strings.SplitSeq(value, ";") { // of a Cookie
			if _, cookie, ok := strings.Cut(part, "="); ok {
				add(strings.TrimSpace(cookie))
			}
		}
	}
	for _, values := range u.Query() {
		for _, value := range values {
			add(value, url.QueryEscape(value))
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
		add(password, proxy.User.String(), base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password)))
	}
	return redact.New(secrets...)
}

// Most of a payload whose values are looked for in an answer.
const (
	valuesBytes = 64 << 10
	valuesMost  = 256
)

// valuesSent are what a receiver may send back of a request besides our secrets
// and the headers that may be shown: signatures, the event's metadata, values of
// the payload. The router masks them where they stand as they were sent.
func valuesSent(header fields, body []byte) []string {
	var values []string
	for _, sent := range header {
		switch sent.name {
		case headerEventID, headerEventType, headerEventKey, headerDeliveryID, headerIdempotency, headerWebhookID, headerEventTime, headerEventReceived, headerContentType:
		case headerWebhookSignature:
			values = append(values, strings.Fields(sent.value)...)
		default:
			values = append(values, sent.value)
		}
	}
	return append(values, jsonValues(body[:min(len(body), valuesBytes)], valuesMost-len(values))...)
}

// snippet is the beginning of an answer, on one line and without secrets.
func snippet(text string) string {
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
