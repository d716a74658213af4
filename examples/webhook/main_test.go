package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"eventserver/destinations"
	"eventserver/destinations/webhook"
)

const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// What the server signs, the receiver verifies, and nothing else.
func TestReceiver(t *testing.T) {
	for name, c := range map[string]struct {
		signing string
		want    string
	}{
		"the same secret":  {secret, "verified e1:shop: {\"amount\":42}\n"},
		"another secret":   {strings.Replace(secret, "MDEy", "MDEz", 1), ""},
		"without a secret": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			h, err := receiver(secret, &out)
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(http.HandlerFunc(h.ServeHTTP))
			defer srv.Close()
			d, err := webhook.New("shop", webhook.Config{URL: srv.URL, AllowPrivate: true, Secret: destinations.Secret(c.signing)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = d.Close() }()
			err = d.Deliver(t.Context(), destinations.Delivery{ID: "e1:shop", EventID: "e1", Attempt: 1,
				Payload: destinations.Payload{ContentType: "application/json", Body: []byte(`{"amount":42}`)}})
			if (err == nil) != (c.want != "") || out.String() != c.want {
				t.Errorf("%v, printed %q, want %q", err, out.String(), c.want)
			}
		})
	}
}
