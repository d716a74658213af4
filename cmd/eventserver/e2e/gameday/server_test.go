package gameday_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"eventserver/cmd/eventserver/e2e/harness"
)

// operatorToken is the operator's admin token.
const operatorToken = "on-call"

// server is one server of the game day, with the file that its operator edits.
type server struct {
	*harness.Server
	process *harness.Process
	admin   string
	broker  string // YAML

	mu    sync.Mutex
	order []string
	lines map[string]string // of the destinations, by id
}

func newServer(t *testing.T, bin, name, broker string) *server {
	t.Helper()
	dir := t.TempDir()
	return &server{
		Server: newProgram(t, bin, name, dir),
		admin:  harness.FreeAddr(t), broker: strings.ReplaceAll(broker, "DIR", dir), lines: map[string]string{},
	}
}

// newProgram is a server whose configuration is in dir.
func newProgram(t *testing.T, bin, name, dir string) *harness.Server {
	t.Helper()
	return &harness.Server{Instance: name, Bin: bin, Addr: harness.FreeAddr(t), Config: filepath.Join(dir, "eventserver.yaml"),
		Quiet: true, Log: filepath.Join(t.ArtifactDir(), name+".log")}
}

// destination sets the line of a destination, one YAML mapping.
func (h *server) destination(id, line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.lines[id]; !there {
		h.order = append(h.order, id)
	}
	h.lines[id] = line
}

// webhook is the line of a destination with the receiver s.
func webhook(id, types string, s *harness.Receiver, more string) string {
	return fmt.Sprintf("{id: %s, kind: webhook, url: 'http://%s/', allow_private: true, types: [%s], breaker: {initial: 500ms, max: 2s}%s}", id, s.Addr, types, more)
}

// write stores the file, as the operator's editor does.
func (h *server) write(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	text := fmt.Sprintf("http: {addr: %q, publish_timeout: 500ms}\nadmin:\n  addr: %q\n  tokens: [{name: oncall, role: write, sha256: ['%x']}]\nbroker: %s\ndestinations:\n",
		h.Addr, h.admin, sha256.Sum256([]byte(operatorToken)), h.broker)
	for _, id := range h.order {
		text += "  - " + h.lines[id] + "\n"
	}
	if err := os.WriteFile(h.Config+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(h.Config+".new", h.Config); err != nil {
		t.Fatal(err)
	}
}

func (h *server) open(t *testing.T) {
	t.Helper()
	h.write(t)
	h.process = h.Start(t)
	h.Ready(t)
}

// shell is an operator's, with the variables that the runbooks use.
func (h *server) shell(destination string) shell {
	return shell{bin: h.Bin, env: map[string]string{"ADMIN": "http://" + h.admin, "INSTANCE": h.Addr, "CONFIG": h.Config, "DEST": destination, "EVENTSERVER_ADMIN_TOKEN": operatorToken}}
}
