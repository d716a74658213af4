package access_test

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"

	"eventserver/app/access"
)

func TestHosts(t *testing.T) {
	for host, want := range map[string]struct{ loopback, private bool }{
		"127.0.0.1": {true, true}, "127.0.0.1:8080": {true, true}, "127.9.9.9:1": {true, true},
		"[::1]:8080": {true, true}, "[::1]": {true, true}, "[::ffff:127.0.0.1]:80": {true, true},
		"localhost": {true, true}, "LOCALHOST:8080": {true, true},
		"localhost.:8080": {false, true}, "app.localhost:8080": {false, true},
		"10.0.0.7:8080": {false, true}, "[fd00::1]:8080": {false, true}, "0.0.0.0:8080": {false, true},
		"eventserver:8080": {false, true}, "x": {false, true}, "": {false, true}, "x.": {false, true},
		"host.docker.internal:8080": {false, true},
		"rebound.evil.example":      {}, "rebound.evil.example:8080": {}, "evil.example.:8080": {}, "EVIL.EXAMPLE": {},
		"localhost.evil.example": {}, "127.0.0.1.evil.example:8080": {}, "127.0.0.1.nip.io": {}, "evillocalhost.com": {},
		"notinternal.com": {}, "internal.evil.example": {}, "1.2.3.4.5": {},
	} {
		if got := access.LoopbackHost(host); got != want.loopback {
			t.Errorf("LoopbackHost(%q) is %v", host, got)
		}
		if got := access.PrivateHost(host); got != want.private {
			t.Errorf("PrivateHost(%q) is %v", host, got)
		}
	}
}

func TestForeignPage(t *testing.T) {
	for _, c := range []struct {
		host, origin, site string
		page, foreign      bool
	}{
		{host: "127.0.0.1:8080"}, {host: "events.example:8080"}, // programs
		{"127.0.0.1:8080", "https://evil.example", "", true, true},
		{"127.0.0.1:8080", "https://evil.example", "cross-site", true, true},
		{"127.0.0.1:8080", "http://localhost:3000", "same-site", true, true},
		{"localhost:8080", "http://localhost:3000", "", true, true},
		{"127.0.0.1:8080", "null", "", true, true},
		{"127.0.0.1:8080", "not a url\x7f", "", true, true},
		{"127.0.0.1:8080", "", "cross-site", true, true},
		{"127.0.0.1:8080", "", "nonsense", true, true},
		{"rebound.example:8080", "http://rebound.example:8080", "", true, true},
		{"rebound.example:8080", "http://rebound.example:8080", "same-origin", true, true},
		{"rebound:8080", "http://rebound:8080", "same-origin", true, true},
		{"rebound.example", "", "same-origin", true, true},
		{"127.0.0.1:8080", "http://127.0.0.1:8080", "same-origin", true, false},
		{"localhost:8080", "http://localhost:8080", "", true, false},
		{"192.168.1.7:8080", "http://192.168.1.7:8080", "", true, false},
		{"shop.example", "https://shop.example", "same-origin", true, false},
		{"shop.example", "https://shop.example", "", true, false},
		{"127.0.0.1:8080", "https://shop.example", "same-origin", true, false}, // a proxy in front
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Host = c.host
		for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if page, foreign := access.FromPage(r), access.ForeignPage(r); page != c.page || foreign != c.foreign {
			t.Errorf("%+v: from a page %v, foreign %v", c, page, foreign)
		}
	}
}

func TestFind(t *testing.T) {
	sum := func(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }
	keys := []access.Key{{Name: "a", SHA256: [][sha256.Size]byte{sum("a1"), sum("a2")}}, {Name: "b", SHA256: [][sha256.Size]byte{sum("b1")}}, {Name: "empty", SHA256: [][sha256.Size]byte{sum("")}}}
	for want, secrets := range map[int][][]string{
		0:  {{"a1"}, {"a2"}, {"x", "a2"}, {"", "a1"}},
		1:  {{"b1"}, {"user", "b1"}},
		-1: {nil, {""}, {"", ""}, {"a"}, {"A1"}, {"a1 "}},
	} {
		for _, s := range secrets {
			if got := access.Find(keys, s...); got != want {
				t.Errorf("%q: %d, want %d", s, got, want)
			}
		}
	}
	if access.Find(nil, "a1") != -1 {
		t.Error("there is a key among none")
	}
}

func TestJSONType(t *testing.T) {
	for header, want := range map[string]bool{
		"application/json": true, "Application/JSON ; charset=utf-8": true, "": false, "text/plain": false,
		"text/plain; application/json": false, "application/jsonp": false, "application/x-www-form-urlencoded": false,
	} {
		if access.JSONType(header) != want {
			t.Errorf("%q is taken for JSON, or not: %v", header, !want)
		}
	}
}
