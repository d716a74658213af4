package webhook

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"eventserver/destinations"
	"eventserver/destinations/redact"
)

// What a debugging server sends back of a request has our secrets in the forms
// that such servers print.
func TestScrubForms(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("es:hunter2-basic"))
	cfg := Config{URL: "https://chat.example.com/hooks/T0HUNTER2HUNTER2HUNTER2?key=hunter2%20query", Proxy: "http://es:hunter2-proxy@proxy:3128",
		Headers: map[string]string{"Authorization": "Basic " + basic, "X-Key": `hunter2/"<&>`}}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := newRedactor(cfg, u)
	for _, text := range []string{
		"user es, password hunter2-basic", "es:hunter2-basic", basic,
		`X-Key: hunter2/"<&>`, `{"X-Key":"hunter2/\"\u003c\u0026\u003e"}`, "<td>hunter2/&#34;&lt;&amp;&gt;</td>",
		"POST /hooks/T0HUNTER2HUNTER2HUNTER2?key=hunter2%20query", "key hunter2 query", "key=hunter2+query",
		"Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("es:hunter2-proxy")),
	} {
		got := s.Text(text, false)
		if strings.Contains(strings.ToLower(got), "hunter2") || strings.Contains(got, basic) || !strings.Contains(got, "[secret]") {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := s.Text("POST /hooks/orders-of-the-shop", false); got != "POST /hooks/orders-of-the-shop" {
		t.Error(got)
	}
}

// A receiver that sends back the headers and the body that it got, encoded in
// whatever way, does not bring them into the error's text: that is what the
// poison queue, explain and the list of destinations show.
func TestEncodedEchoIsWithheld(t *testing.T) {
	const token, password, tenant, card = "hunter2-bearer/with+more=", "hunter2-basic-pw", "tenant-hunter2-4711", "card-hunter2-0815"
	basic := base64.StdEncoding.EncodeToString([]byte("es:" + password))
	codes := func(format string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for i := range len(s) {
				fmt.Fprintf(&b, format, s[i])
			}
			return b.String()
		}
	}
	reversed := func(s string) string {
		b := []byte(s)
		slices.Reverse(b)
		return string(b)
	}
	var encode func(string) string
	cfg := Config{Secret: secretOf("a"), SecretNext: secretOf("b"),
		Headers: map[string]string{"Authorization": "Bearer " + token, "X-Basic": "Basic " + basic, "Cookie": "a=1; sid=hunter2-cookie-value"}}
	cfg.URL = serve(t, func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_ = r.Header.Write(&b)
		_, _ = io.Copy(&b, r.Body)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, encode(b.String()))
	}) + "/hooks/T0HUNTER2HUNTER2HUNTER2?key=hunter2-query"
	d := open(t, cfg)
	del := delivery("e")
	del.Metadata = map[string]string{"x-tenant": tenant}
	del.Payload.Body = []byte(`{"card":"` + card + `"}`)
	for name, f := range map[string]func(string) string{
		"base64":          func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64, one off": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("x" + s)) },
		"hex":             func(s string) string { return hex.EncodeToString([]byte(s)) },
		"HEX":             func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
		"percent":         url.QueryEscape, "every percent": codes("%%%02x"), "entities": codes("&#%d;"), "\\u": codes("\\u%04x"), "codes": codes("%d, "),
		"upper": strings.ToUpper, "lower": strings.ToLower, "reversed": reversed,
		"split":             func(s string) string { return strings.Join(strings.Split(s, ""), "\n") },
		"percent in base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(s))) },
	} {
		t.Run(name, func(t *testing.T) {
			encode = f
			for kind, err := range map[string]error{"one": d.Deliver(t.Context(), del), "batch": d.DeliverBatch(t.Context(), []destinations.Delivery{del})} {
				if want := "webhook answered 400: " + redact.Withheld; err == nil || err.Error() != want {
					t.Errorf("%s: %v, want %s", kind, err, want)
				}
			}
		})
	}
	// Of the event alone, and of the signature alone.
	for name, part := range map[string]func(*http.Request, string) string{
		"metadata": func(r *http.Request, _ string) string { return r.Header.Get("X-Tenant") }, "body": func(_ *http.Request, body string) string { return body },
		"signature": func(r *http.Request, _ string) string { return r.Header.Get("Webhook-Signature") },
	} {
		d := open(t, Config{Secret: secretOf("a"), URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "got "+reversed(part(r, string(body))))
		})})
		if err := d.Deliver(t.Context(), del); err == nil || err.Error() != "webhook answered 500: "+redact.Withheld {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What an operator needs is kept: the receiver's own words, the user's key, ids.
func TestOwnWordsOfTheReceiverAreKept(t *testing.T) {
	const said = "no such order 4711 of user%201/%25%C3%A9 (event e, delivery e:shop)"
	d := open(t, Config{Secret: secretOf("a"), Headers: map[string]string{"Authorization": "Bearer hunter2-bearer"}, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, said)
	})})
	if err := d.Deliver(t.Context(), delivery("e")); err == nil || err.Error() != "webhook answered 400: "+said {
		t.Error(err)
	}
}

// A compressed answer was shown as it came: it may repeat a secret, and nobody can
// read it.
func TestCompressedAnswerIsWithheld(t *testing.T) {
	for encoding, want := range map[string]string{
		"gzip": "[withheld: it is encoded, and none was asked for]", "br": "[withheld: it is encoded, and none was asked for]", "identity": "said", "": "said",
	} {
		d := open(t, Config{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if encoding != "" {
				w.Header().Set("Content-Encoding", encoding)
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "said")
		})})
		if err := d.Deliver(t.Context(), delivery("e")); err == nil || err.Error() != "webhook answered 400: "+want {
			t.Errorf("%q: %v", encoding, err)
		}
	}
}
