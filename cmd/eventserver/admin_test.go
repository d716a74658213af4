package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Where the commands look, and with which token.
func TestAdminFlags(t *testing.T) {
	t.Setenv(tokenVariable, "from-environment")
	cfg := func(admin string) string {
		return file(t, "http: {addr: ':9000'}\n"+admin+"\ndestinations: []")
	}
	digest := strings.Repeat("ab", 32)
	for _, c := range []struct {
		a          adminFlags
		url, token string
	}{
		{adminFlags{}, "http://127.0.0.1:8081", "from-environment"},
		{adminFlags{url: "http://es:1", token: "t"}, "http://es:1", "t"},
		{adminFlags{path: cfg("")}, "http://127.0.0.1:9001", "from-environment"},
		{adminFlags{path: cfg("admin: {addr: '0.0.0.0:7', tokens: [{name: a, role: read, sha256: [" + digest + "]}]}")}, "http://127.0.0.1:7", "from-environment"},
		{adminFlags{path: cfg("admin: {addr: '[::]:7', tokens: [{name: a, role: read, sha256: [" + digest + "]}]}")}, "http://[::1]:7", "from-environment"},
		{adminFlags{path: cfg("admin: {addr: 'localhost:7'}")}, "http://localhost:7", "from-environment"},
	} {
		got, err := c.a.target()
		if err != nil || got.Client.BaseURL != c.url || got.Client.Token != c.token || (got.Config != nil) != (c.a.path != "") {
			t.Errorf("%+v: %+v, %v", c.a, got, err)
		}
	}
	if got, err := (&adminFlags{path: cfg("admin: {addr: off}")}).target(); err != nil || got.Client != nil || got.Config == nil {
		t.Errorf("off: %+v, %v", got, err)
	}
	for _, c := range []struct {
		a     adminFlags
		usage bool
		want  string
	}{
		{adminFlags{url: "http://es:1", path: "x.yaml"}, true, "give --admin or --config, not both"},
		{adminFlags{path: "nowhere.yaml"}, false, "cannot be read"},
		{adminFlags{path: cfg("admin: {addr: '127.0.0.1:0'}")}, false, "names no port to ask; give --admin"},
	} {
		_, err := c.a.target()
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, new(usageError)) != c.usage {
			t.Errorf("%+v: %v", c.a, err)
		}
	}
}

func TestConfigCommand(t *testing.T) {
	var auth string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"yaml":"ordering: key\n","config":{"ordering":"key"}}`))
	}))
	if out, err := shell(t, "config", "--admin", srv.URL, "--token", "t"); err != nil || out != "ordering: key\n" || auth != "Bearer t" {
		t.Errorf("%q, %v, %q", out, err, auth)
	}
	if out, err := shell(t, "config", "--admin", srv.URL, "--json"); err != nil || out != "{\n  \"ordering\": \"key\"\n}\n" {
		t.Errorf("%q, %v", out, err)
	}
	srv.Close()
	if _, err := shell(t, "config", "--admin", srv.URL); err == nil || !strings.Contains(err.Error(), "no server answers at "+srv.URL) {
		t.Errorf("got %v", err)
	}
	// With --config the file answers for a server that is not there.
	path := file(t, "admin: {addr: '"+strings.TrimPrefix(srv.URL, "http://")+"'}\ndestinations:\n- {id: a, kind: webhook, url: 'https://example.com/?key=hunter2', secret: whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}\n")
	var out, said bytes.Buffer
	err := run(t.Context(), []string{"config", "--config", path, "--json"}, &out, &said)
	var got map[string]any
	if err != nil || said.String() != "no server answers at "+srv.URL+"; going by the file\n" || json.Unmarshal(out.Bytes(), &got) != nil || got["ordering"] != "key" {
		t.Errorf("%v, %q, %s", err, said.String(), out.String())
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "whsec_") {
		t.Errorf("a secret is shown: %s", out.String())
	}
}
