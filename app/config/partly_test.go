package config

import (
	"encoding/pem"
	"eventserver/app/config/strict"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// authority is a certificate in PEM form.
func authority(t *testing.T) string {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
}

// A program beside the server needs few of its variables, secrets and files.
func TestPartly(t *testing.T) {
	const src = `
http: {addr: "127.0.0.1:${P_NO_PORT:-81}", keys: [{name: a, sha256: ["${P_DIGEST}"]}]}
broker: {kind: kafka, brokers: ["${P_BROKER}"], tls: {enabled: true, ca_file: /no/such.pem}, sasl: {mechanism: PLAIN, user: u, password: "${P_PASSWORD}"}}
log: {level: "${P_LEVEL}"}
traces: {endpoint: "${P_TRACES}", headers: {Authorization: "${P_TOKEN}"}}
destinations:
- {id: crm, kind: webhook, url: "${P_URL}", secret: "${P_SECRET}", headers: {X-A: "${P_HEADER}"}}
- {id: b, kind: webhook, url: http://x, secret_next_file: /no/such/secret}
- {id: "${P_ID}", kind: log, rate_limit: {burst: 5, per_second: "${P_RATE}"}}
`
	path := filepath.Join(t.TempDir(), "es.yaml")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, Checks{Kinds: fakeKinds, Partly: true})
	if err != nil {
		t.Fatal(err)
	}
	names := func(err error) string {
		if err == nil {
			return ""
		}
		var out []string
		for _, f := range err.(*strict.Faults).List() {
			out = append(out, f.Path)
		}
		return strings.Join(out, " ")
	}
	for _, n := range []struct {
		paths []string
		want  string
	}{
		{[]string{"http.addr", "admin"}, ""},
		{[]string{"http"}, "http.keys[0].sha256[0]"},
		{[]string{"htt", "destinations[].i"}, ""},
		{[]string{"broker"}, "broker.brokers[0] broker.sasl.password"},
		{[]string{"destinations[].id", "log"}, "log.level destinations[2].id"},
		{nil, "http.keys[0].sha256[0] broker.brokers[0] broker.sasl.password log.level traces.endpoint traces.headers.Authorization " +
			"destinations[0].url destinations[0].secret destinations[0].headers.X-A destinations[1].secret_next_file destinations[2].id destinations[2].rate_limit.per_second"},
	} {
		if got := names(c.Need(n.paths...)); got != n.want {
			t.Errorf("%q: %s", n.paths, got)
		}
	}
	if c.HTTP.Addr != "127.0.0.1:81" || c.Destinations[0].ID != "crm" {
		t.Errorf("%+v", c)
	}
	if err := c.Need("broker"); !strings.Contains(err.Error(), path+":3: broker.sasl.password: environment variable P_PASSWORD is not set; set it, or write ${P_PASSWORD:-default}") {
		t.Error(err)
	}
	if got := names(c.Destinations[0].Settings.Missing()); got != "destinations[0].url destinations[0].secret destinations[0].headers.X-A" {
		t.Error(got)
	}
	var h hook
	if err := c.Destinations[0].Settings.Decode(&h); err != nil || h.URL != "" || h.Secret != "" {
		t.Errorf("%+v, %v", h, err)
	}
	shown := c.Redacted()
	for _, want := range []string{"url: ${P_URL}", "secret: '[secret]'", "id: ${P_ID}"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %s in\n%s", want, shown)
		}
	}
	// Other faults stay faults, and a server needs everything.
	if _, err := Load(path, Checks{Kinds: fakeKinds}); err == nil || len(err.(*strict.Faults).List()) < 12 {
		t.Errorf("a server: %v", err)
	}
	if err := os.WriteFile(path, []byte(src+"- {id: c, kind: log, timeout: soon, filter: \"${open\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, Checks{Kinds: fakeKinds, Partly: true}); names(err) != "destinations[3].timeout destinations[3].filter" && names(err) != "destinations[3].filter destinations[3].timeout" {
		t.Error(err)
	}
}

// The YAML may come through standard input or stand in a variable.
func TestSources(t *testing.T) {
	const good, faulty = "destinations: []\nlog: {level: warn}\n", "destinations: []\nlog: {level: lot}\n"
	stdin := os.Stdin
	t.Cleanup(func() { os.Stdin = stdin })
	give := func(text string) {
		name := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		os.Stdin = f
	}
	t.Setenv("ES_YAML", good)
	t.Setenv("ES_FAULTY", faulty)
	give(good)
	for _, source := range []string{"env:ES_YAML", strict.Stdin} {
		c, err := Load(source, Checks{Here: true})
		if err != nil || c.Log.Level != "warn" {
			t.Errorf("%s: %+v, %v", source, c, err)
		}
	}
	give(faulty)
	for source, want := range map[string]string{
		"env:ES_FAULTY": `env:ES_FAULTY:2: log.level: "lot" is not one of debug, info, warn, error; write one of these`,
		strict.Stdin:    `standard input:2: log.level: "lot" is not one of debug, info, warn, error; write one of these`,
		"env:ES_NONE":   "env:ES_NONE: cannot be read: the variable is not set; give the path of a configuration file after --config, - or env:NAME",
		"env:":          "env:: cannot be read: the variable is not set; give the path of a configuration file after --config, - or env:NAME",
	} {
		if _, err := Load(source, Checks{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", source, err)
		}
	}
	give(strings.Repeat("#", 2<<20))
	if _, err := Load(strict.Stdin, Checks{}); err == nil || !strings.Contains(err.Error(), "standard input: is larger than 1MiB") {
		t.Error(err)
	}
	for source, want := range map[string]string{strict.Stdin: "standard input", "env:X": "environment variable X"} {
		if err := strict.Once(source); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--config FILE") {
			t.Errorf("%s: %v", source, err)
		}
	}
	if err := strict.Once("./env:X"); err != nil {
		t.Error(err)
	}
}
