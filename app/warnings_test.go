package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A destination that can never work is a fault for check. The server runs the
// others and warns: one destination's address must not keep the rest from starting.
func TestWhatFailsAtEachUseIsWarnedOf(t *testing.T) {
	const text = `http: {addr: "127.0.0.1:0"}
admin: {addr: "off"}
broker: {kind: memory}
destinations:
  - {id: log, kind: log}
  - {id: inside, kind: webhook, url: "http://10.0.0.1/hook"}
  - {id: here, kind: webhook, url: "http://LOCALHOST:1/?token=hush", allow_private: true}
`
	path := filepath.Join(t.TempDir(), "es.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Check(path, Options{})
	if err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), "es.yaml:6: destinations[1].url: names an address that is private") {
		t.Errorf("check says %v", err)
	}
	cfg, err := Load(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if w := cfg.Warnings(); len(w) != 1 || w[0].Path != "destinations[1].url" || w[0].Line != 6 {
		t.Errorf("warnings: %v", w)
	}
	var log bytes.Buffer
	a, err := New(t.Context(), cfg, Options{Stdout: new(bytes.Buffer), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "the configuration has what cannot work"); n != 1 || !strings.Contains(log.String(), "destinations[1].url") {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
}
