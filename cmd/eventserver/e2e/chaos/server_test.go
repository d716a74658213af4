package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventserver/cmd/eventserver/e2e/harness"
)

// server is one of a run, and the most memory that it had.
type server struct {
	*harness.Server
	memory *peakMemory
}

// setup is what the configurations of a test's servers have in common.
type setup struct {
	bin          string
	race         bool   // bin has the race detector
	broker       string // YAML, with INSTANCE for the instance's id
	destinations string // more YAML of each destination
	urls         map[string]string
}

// newServer writes the configuration: every destination of the oracle.
func newServer(t *testing.T, o *oracle, instance string, of setup) *server {
	t.Helper()
	s := &server{&harness.Server{Instance: instance, Bin: of.bin, Addr: harness.FreeAddr(t), Config: filepath.Join(t.TempDir(), "eventserver.yaml"),
		Log: filepath.Join(t.ArtifactDir(), instance+".log"), Starting: func() { o.started(instance) }}, watchMemory(t, instance, of.race)}
	s.Running = s.memory.watch
	yaml := fmt.Sprintf("memory: %d\nhttp: {addr: %q}\nadmin: {addr: \"127.0.0.1:0\"}\nbroker: %s\ndestinations:\n", memory, s.Addr, strings.ReplaceAll(of.broker, "INSTANCE", instance))
	for _, id := range o.names {
		url := of.urls[id]
		if url == "" {
			url = "http://" + o.receivers[id].Addr
		}
		yaml += fmt.Sprintf("  - {id: %s, kind: webhook, url: %q, allow_private: true, headers: {X-Instance: %s}%s}\n", id, url, instance, of.destinations)
	}
	if err := os.WriteFile(s.Config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}
