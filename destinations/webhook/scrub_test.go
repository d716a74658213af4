package webhook

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
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
	s := newScrubber(cfg, u)
	for _, text := range []string{
		"user es, password hunter2-basic", "es:hunter2-basic", basic,
		`X-Key: hunter2/"<&>`, `{"X-Key":"hunter2/\"\u003c\u0026\u003e"}`, "<td>hunter2/&#34;&lt;&amp;&gt;</td>",
		"POST /hooks/T0HUNTER2HUNTER2HUNTER2?key=hunter2%20query", "key hunter2 query", "key=hunter2+query",
		"Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("es:hunter2-proxy")),
	} {
		got := s.text(text)
		if strings.Contains(strings.ToLower(got), "hunter2") || strings.Contains(got, basic) || !strings.Contains(got, "[secret]") {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := s.text("POST /hooks/orders-of-the-shop"); got != "POST /hooks/orders-of-the-shop" {
		t.Error(got)
	}
}
