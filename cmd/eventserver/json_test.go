package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Every command that lists something prints JSON with --json.
func TestJSON(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	t.Setenv(adminVariable, srv.URL)
	bad := file(t, "destinations: []\nlog: {level: lot}\nordering: kee\n")
	for args, want := range map[string]string{
		"version": "go", "destinations": "destinations", "poison list": "items", "poison counts": "count", "poison show e": "records", "explain e --key u": "event_id",
		"config": "", "reload": "", "pause a": "id", "resume a": "id", "check": "topology", "check --config " + bad: "faults",
		"schema list --dir ../../schemas": "", "schema check --dir ../../schemas": "valid", "schema check --dir none": "faults", "schema diff ../../schemas ../../schemas": "",
		"secret new": "secret", "secret new --for key": "sha256", "secret new --for token": "sha256",
	} {
		out, err := shell(t, append(strings.Fields(args), "--json")...)
		if !json.Valid([]byte(out)) || want != "" && !strings.Contains(out, `"`+want+`"`) || (err != nil) != (want == "faults") {
			t.Errorf("%s: %q, %v", args, out, err)
		}
	}
	out, _ := shell(t, "check", "--json", "--config", bad)
	var c checked
	if err := json.Unmarshal([]byte(out), &c); err != nil || c.Valid || len(c.Faults) != 2 || c.Faults[0].Line != 2 || c.Faults[0].Path != "log.level" || c.Faults[1].Path != "ordering" {
		t.Errorf("%+v, %v", c, err)
	}
}

// A secret has the form that the server takes, and the digest is that of the secret.
func TestSecretNew(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range []string{"webhook", "key", "token"} {
		for range 2 {
			out, err := shell(t, "secret", "new", "--for", kind, "--name", "ann", "--json")
			var a newSecretAnswer
			if err != nil || json.Unmarshal([]byte(out), &a) != nil || seen[a.Secret] {
				t.Fatalf("%s: %q, %v", kind, out, err)
			}
			seen[a.Secret] = true
			section := "destinations: []\n" + a.Config + "\n"
			if kind == "webhook" {
				random, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(a.Secret, "whsec_"))
				if err != nil || len(random) != 32 || !strings.HasPrefix(a.Secret, "whsec_") {
					t.Errorf("%q: %v", a.Secret, err)
				}
				t.Setenv("WEBHOOK_SECRET", a.Secret)
				section = "destinations:\n- id: a\n  kind: webhook\n  url: https://example.com\n  " + a.Config + "\n"
			} else if sum := sha256.Sum256([]byte(a.Secret)); a.SHA256 != hex.EncodeToString(sum[:]) || !strings.Contains(a.Config, a.SHA256) {
				t.Errorf("%+v", a)
			}
			if _, err := shell(t, "check", "--config", file(t, section)); err != nil {
				t.Errorf("%s: %v", section, err)
			}
			text, err := shell(t, "secret", "new", "--for="+kind)
			if err != nil || !strings.Contains(text, "In the configuration:") {
				t.Errorf("%q, %v", text, err)
			}
		}
	}
	if _, err := shell(t, "secret", "new", "--for", "door"); err == nil || !strings.Contains(err.Error(), "is not webhook, key or token") {
		t.Error(err)
	}
}
