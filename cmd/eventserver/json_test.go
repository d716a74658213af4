package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every command that lists something prints JSON with --json.
func TestJSON(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/v1/events" {
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"ids":["e1"]}`))
			return
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	t.Setenv(adminVariable, srv.URL)
	event, wrong := file(t, `{"id":"e1","type":"a.b","userId":"u","data":{"n":1.10}}`), file(t, `{"type":"no.such"}`)
	bad := file(t, "destinations: []\nlog: {level: lot}\nordering: kee\n")
	for args, want := range map[string]string{
		"version": "go", "destinations": "destinations", "poison list": "items", "poison counts": "count", "poison show e": "records", "explain e --key u": "event_id",
		"send " + event + " --url " + srv.URL: "ids", "send --quiet " + event + " --url " + srv.URL: "stored", "transform " + event + " --destination log": "payload",
		"health --url " + srv.URL: "ready", "schema validate " + wrong + " --dir ../../schemas": "faults",
		"retry a": "id", "forget a --dry-run": "lost", "replay a --since 1h --dry-run": "events",
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

// What a command did before a fault is in its JSON, too.
func TestJSONOfFaults(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			http.Error(w, "storing fails", http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(body), "e2") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"ids":["e1"]}`))
	}))
	defer srv.Close()
	var health healthAnswer
	out, err := shell(t, "health", "--json", "--url", srv.URL+"/readyz")
	if err == nil || json.Unmarshal([]byte(out), &health) != nil || health.Ready || health.Status != 503 || health.Answer != "storing fails\n" {
		t.Errorf("%q, %v", out, err)
	}
	out, err = shell(t, "health", "--json", "--url", "http://127.0.0.1:1/readyz")
	if err == nil || err.Error() != "no server answers at http://127.0.0.1:1/readyz: connection refused" || !strings.Contains(out, `"ready": false`) {
		t.Errorf("%q, %v", out, err)
	}
	var sent sendAnswer
	out, err = shell(t, "send", "--json", "--batch", "1", "--url", srv.URL, file(t, `[{"id":"e1"},{"id":"e2"}]`))
	if err == nil || json.Unmarshal([]byte(out), &sent) != nil || sent.Stored != 1 || len(sent.IDs) != 1 || sent.IDs[0] != "e1" {
		t.Errorf("%q, %v", out, err)
	}
	var dry []struct {
		Index   int             `json:"index"`
		Sent    bool            `json:"sent"`
		Payload json.RawMessage `json:"payload"`
		Fault   string          `json:"fault"`
	}
	cfg := file(t, "destinations: [{id: a, kind: log, filter: 'event.data.n > 1', transform: 'event.data'}]\n")
	out, err = shell(t, "transform", "--json", "--config", cfg, "--destination", "a", file(t, `[{"data":{"n":1.10}},{"data":{"n":0}},{"data":{}}]`))
	if err == nil || strings.Count(err.Error(), "\n") != 0 || json.Unmarshal([]byte(out), &dry) != nil || len(dry) != 3 {
		t.Fatalf("%q, %v", out, err)
	}
	if !dry[0].Sent || !strings.Contains(string(dry[0].Payload), "1.10") || dry[1].Sent || dry[1].Fault != "" || dry[2].Sent || !strings.Contains(dry[2].Fault, "no such key: n") {
		t.Errorf("%+v", dry)
	}
}

// check shows what is doubtful in the schemas, as schema check does.
func TestCheckShowsWarnings(t *testing.T) {
	dir := t.TempDir()
	const schema = "x-event: {type: t.a, version: 1}\ndescription: A tree.\ntype: object\nproperties:\n  data: {type: string, pattern: '^([a-z]{1,200}){1,4}$'}\nexamples: [{}]\n"
	if err := os.WriteFile(filepath.Join(dir, "t.a.yaml"), []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := shell(t, "schema", "check", "--dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	warning, _, ok := strings.Cut(want, "\n")
	if !ok || !strings.HasPrefix(warning, "warning: ") {
		t.Fatalf("the schema has no warning: %q", want)
	}
	cfg := file(t, "destinations: [{id: log, kind: log}]\nschemas: {dir: '"+dir+"'}\n")
	if out, err := shell(t, "check", "--config", cfg); err != nil || !strings.Contains(out, warning+"\nthe configuration is valid\n") {
		t.Errorf("%q, %v", out, err)
	}
	var c checkedConfig
	if out, err := shell(t, "check", "--json", "--config", cfg); err != nil || json.Unmarshal([]byte(out), &c) != nil || !c.Valid || len(c.Warnings) == 0 {
		t.Errorf("%q, %v", out, err)
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
