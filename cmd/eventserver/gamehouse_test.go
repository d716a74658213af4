package main_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gameToken is what the operator of the game day has.
const gameToken = "on-call"

// house is one server of the game day, with the file that its operator edits.
type house struct {
	*server
	process *process
	admin   string
	broker  string // YAML

	mu    sync.Mutex
	order []string
	lines map[string]string // of the destinations, by id
}

func newHouse(t *testing.T, bin, name, broker string) *house {
	t.Helper()
	dir := t.TempDir()
	return &house{
		server: &server{instance: name, bin: bin, addr: freeAddr(t), config: filepath.Join(dir, "eventserver.yaml"), o: newOracle(t),
			quiet: true, log: filepath.Join(t.ArtifactDir(), name+".log")},
		admin: freeAddr(t), broker: strings.ReplaceAll(broker, "DIR", dir), lines: map[string]string{},
	}
}

// destination sets the line of a destination, one YAML mapping.
func (h *house) destination(id, line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.lines[id]; !there {
		h.order = append(h.order, id)
	}
	h.lines[id] = line
}

// webhook is the line of a destination that s receives.
func webhook(id, types string, s *site, more string) string {
	return fmt.Sprintf("{id: %s, kind: webhook, url: 'http://%s/', allow_private: true, types: [%s], breaker: {initial: 500ms, max: 2s}%s}", id, s.addr, types, more)
}

// write is the operator's editor.
func (h *house) write(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	text := fmt.Sprintf("http: {addr: %q, publish_timeout: 500ms}\nadmin:\n  addr: %q\n  tokens: [{name: oncall, role: write, sha256: ['%x']}]\nbroker: %s\ndestinations:\n",
		h.addr, h.admin, sha256.Sum256([]byte(gameToken)), h.broker)
	for _, id := range h.order {
		text += "  - " + h.lines[id] + "\n"
	}
	if err := os.WriteFile(h.config+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(h.config+".new", h.config); err != nil {
		t.Fatal(err)
	}
}

func (h *house) open(t *testing.T) {
	t.Helper()
	h.write(t)
	h.process = h.start(t)
	h.ready(t)
}

// shell is one whose variables say what an alert names.
func (h *house) shell(destination string) shell {
	return shell{bin: h.bin, env: map[string]string{"ADMIN": "http://" + h.admin, "INSTANCE": h.addr, "CONFIG": h.config, "DEST": destination, "EVENTSERVER_ADMIN_TOKEN": gameToken}}
}

// newSite is a receiver with an address of its own.
func newSite(t *testing.T, h http.HandlerFunc) *site {
	t.Helper()
	s := &site{handler: h}
	if err := s.open(t); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}
