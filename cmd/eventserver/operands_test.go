package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// People write the id first, last or between the flags. Explain refused an id
// that flags followed when one came before it.
func TestOperandsAnywhere(t *testing.T) {
	asked := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	for _, args := range [][]string{
		{"explain", "e/1", "--admin", srv.URL, "--key", "ada"},
		{"explain", "--admin", srv.URL, "e/1", "--key", "ada"},
		{"explain", "--admin", srv.URL, "--key", "ada", "e/1"},
		{"explain", "--admin", srv.URL, "--key", "ada", "--", "e/1"},
		{"explain", "--admin", srv.URL, "--", "e/1", "--key", "ada"},
	} {
		asked = ""
		if _, err := shell(t, args...); err != nil || asked != "/v1/events/e%2F1?key=ada" {
			t.Errorf("%q: asked %q, %v", args, asked, err)
		}
	}
}
