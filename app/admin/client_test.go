package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestClient(t *testing.T) {
	s := started(t, Config{Configuration: fixed("a: 1\n"), Build: Build{Version: "v9"}, more: testOperations(nil),
		Tokens: []Token{token("ann", Read, "reads"), token("bob", Write, "writes")}})
	c := &Client{BaseURL: s.url + "/", Token: "reads"}
	var b Build
	if err := c.Get(t.Context(), "/v1/build", nil, &b); err != nil || b.Version != "v9" {
		t.Errorf("%+v, %v", b, err)
	}
	err := c.Post(t.Context(), "/v1/change", map[string]string{"name": "x"}, nil)
	var answer *Error
	if !errors.As(err, &answer) || answer.Status != 403 || !strings.Contains(err.Error(), "the token ann has role read, and this needs role write") || !strings.Contains(err.Error(), "give the token with --token") {
		t.Errorf("got %v", err)
	}
	c.Token = "writes"
	if err := c.Post(t.Context(), "/v1/change", map[string]string{"name": "x"}, nil); err != nil {
		t.Error(err)
	}
	err = c.Post(t.Context(), "/v1/change", map[string]string{"name": "too long"}, nil)
	if err == nil || !strings.Contains(err.Error(), "422: validation failed: body.name: expected length <= 5") {
		t.Errorf("got %v", err)
	}
	c.Token = ""
	if err := c.Get(t.Context(), "/v1/build", nil, &b); err == nil || !strings.Contains(err.Error(), "this needs a token with role read") {
		t.Errorf("got %v", err)
	}
}

func TestClientExplains(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	_ = l.Close()
	err = (&Client{BaseURL: nobody}).Get(t.Context(), "/v1/build", nil, nil)
	if !errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), nobody) || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "start eventserver") {
		t.Errorf("got %v", err)
	}

	var redirected bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/page", http.StatusFound)
		case "/page":
			redirected = true
		case "/cut":
			panic(http.ErrAbortHandler)
		case "/json":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"version": 1}`))
		}
		_, _ = w.Write([]byte("<html>"))
	}))
	defer other.Close()
	for path, want := range map[string]string{
		"/page":  "is not the admin API of an eventserver",
		"/moved": "answer 302: what answers at " + other.URL + " is not the admin API",
		"/cut":   "gave no answer: EOF; is it the admin.addr",
		"/json":  "is not understood",
	} {
		redirected = false
		var b Build
		err := (&Client{BaseURL: other.URL, Token: "secret"}).Get(t.Context(), path, nil, &b)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrNoServer) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", path, err)
		}
		if path == "/moved" && redirected {
			t.Error("followed a redirect with its token")
		}
	}
	for _, bad := range []string{"", "127.0.0.1:8081", "ftp://127.0.0.1", "http://user:hunter2@127.0.0.1", "http://127.0.0.1/?token=hunter2", "http://[::1",
		"http://", "http://:8081", "http://:", "http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:99999", "http://127.0.0.1:http", "http://127.0.0.1:-1"} {
		if err := (&Client{BaseURL: bad}).Get(t.Context(), "/", nil, nil); err == nil || !strings.Contains(err.Error(), "write it as http://127.0.0.1:8081") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := (&Client{BaseURL: other.URL, Token: "two words"}).Get(t.Context(), "/", nil, nil); err == nil || strings.Contains(err.Error(), "two words") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&Client{BaseURL: other.URL}).Get(ctx, "/", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Who sent no token and is refused all the same is not told to give one: the
// server asks for none, it refuses the address or the origin.
func TestHintOfATokenIsForWhoLacksIt(t *testing.T) {
	const hint = "give the token with --token"
	for _, c := range []struct {
		status int
		token  bool
		want   bool
	}{{401, false, true}, {403, true, true}, {403, false, false}} {
		if text := (&Error{Status: c.status, Detail: "refused", token: c.token}).Error(); strings.Contains(text, hint) != c.want {
			t.Errorf("%+v: %s", c, text)
		}
	}
}
