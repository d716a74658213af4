package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// heldServer is the program with two destinations that take nothing: the receiver of
// one answers 401, and the transformation of the other fails.
type heldServer struct {
	*testing.T
	bin, api string
	denies   atomic.Bool

	mu   sync.Mutex
	came map[string]map[string][]string // ids, by destination and user
}

const (
	heldUsers = 100
	heldEach  = 10
	heldTotal = heldUsers * heldEach
)

func newHeldServer(t *testing.T) *heldServer {
	h := &heldServer{T: t, bin: harness.Program(t), api: harness.FreeAddr(t), came: map[string]map[string][]string{}}
	h.denies.Store(true)
	to := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if h.denies.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		of := h.came[r.URL.Path]
		if of == nil {
			of = map[string][]string{}
			h.came[r.URL.Path] = of
		}
		user, _, _ := strings.Cut(r.Header.Get("Event-Id"), "-")
		of[user] = append(of[user], r.Header.Get("Event-Id"))
	}))
	t.Cleanup(to.Close)
	dir, addr := t.TempDir(), harness.FreeAddr(t)
	const pauses = "allow_private: true, breaker: {initial: 200ms, max: 1s}"
	text := fmt.Sprintf(`http: {addr: %q}
admin: {addr: %q}
broker: {dir: %q, partitions: 4}
destinations:
  - {id: denied, kind: webhook, url: "%[4]s/denied", %[5]s}
  - {id: shaped, kind: webhook, url: "%[4]s/shaped", %[5]s, transform: "{'x': event.data.x}"}
  - {id: free, kind: webhook, url: "%[4]s/free", %[5]s, flood_guard: 0}
`, addr, h.api, filepath.Join(dir, "data"), to.URL, pauses)
	file := filepath.Join(dir, "eventserver.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &harness.Server{Instance: "one", Bin: h.bin, Config: file, Addr: addr, Quiet: true, Log: filepath.Join(dir, "log")}
	p := s.Start(t)
	t.Cleanup(func() { p.Terminate() })
	for n := range heldEach {
		var items []string
		for u := range heldUsers {
			items = append(items, fmt.Sprintf(`{"id":"u%d-%d","userId":"u%d","n":%d}`, u, n, u, n))
		}
		resp, err := http.Post("http://"+addr+"/v1/events", "application/json", strings.NewReader("["+strings.Join(items, ",")+"]"))
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
	}
	return h
}

func (h *heldServer) shell(code int, args ...string) string {
	h.Helper()
	out, err := exec.CommandContext(h.Context(), h.bin, append(args, "--admin", "http://"+h.api)...).CombinedOutput()
	got := 0
	if err != nil {
		got = err.(*exec.ExitError).ExitCode()
	}
	if got != code {
		h.Errorf("%v ended with %d, want %d\n%s", args, got, code, out)
	}
	return string(out)
}

func (h *heldServer) shows(pattern string, args ...string) {
	h.Helper()
	var out string
	if !harness.WaitFor(h.T, 30*time.Second, strings.Join(args, " ")+" to show "+pattern, func() bool {
		out = h.shell(0, args...)
		return regexp.MustCompile(pattern).MatchString(out)
	}) {
		h.Log(out)
	}
}

func (h *heldServer) says(out, pattern string) {
	h.Helper()
	if !regexp.MustCompile(pattern).MatchString(out) {
		h.Errorf("got %q, want %s", out, pattern)
	}
}

func (h *heldServer) poisoned(id string) int {
	h.Helper()
	var c struct{ Count int }
	if out := h.shell(0, "poison", "counts", "--destination", id, "--json"); json.Unmarshal([]byte(out), &c) != nil {
		h.Fatal(out)
	}
	return c.Count
}

// waiting is a user none of whose events is given up.
func (h *heldServer) waiting(id string) string {
	h.Helper()
	out := h.shell(0, "poison", "list", "--destination", id, "--json", "--limit", "1000")
	for u := range heldUsers {
		if user := fmt.Sprint("u", u); !strings.Contains(out, `"`+user+`-`) {
			return user
		}
	}
	h.Fatal("somebody's events should wait, of " + id)
	return ""
}

// order is whether all that came came in order, and how much that is.
func (h *heldServer) order(id string) (all int, ordered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ordered = true
	for _, ids := range h.came["/"+id] {
		all += len(ids)
		ordered = ordered && slices.IsSorted(ids)
	}
	return all, ordered
}

// A receiver that answers 401 to everybody after a bad deploy, and a transformation that
// fails for everybody: what waits is kept back, a receiver that is repaired gets it in
// order, and somebody who accepts the failures has them in the poison queue.
func TestHeldFromTheShell(t *testing.T) {
	h := newHeldServer(t)
	for id, want := range map[string]string{"denied": `refuses one user after the other; .*401`, "shaped": `transformation fails for one user after the other; .*no such key: x`} {
		h.shows(`(?m)^`+id+` +held .* held since .*`+want, "destinations")
		h.says(h.shell(0, "destinations", id), `(?s)state +held.*why +held since .*`+want)
		h.says(h.shell(1, "destinations", id, "--check"), id+`: held since`)
		if n := h.poisoned(id); n > 19*heldEach {
			t.Errorf("%s: %d of %d are poisoned, of more than 19 users", id, n, heldTotal)
		} else {
			t.Logf("%s: %d of %d are poisoned", id, n, heldTotal)
		}
		h.says(h.shell(0, "explain", h.waiting(id)+"-0", "--destination", id), `(?s)`+id+`: HELD: everybody's events fail.*held since .*`+want+`.*eventserver resume `+id)
	}
	harness.WaitFor(t, 30*time.Second, "all of the one that is never held to be poisoned", func() bool { return h.poisoned("free") == heldTotal })

	before := h.poisoned("denied") + h.poisoned("shaped")
	h.says(h.shell(0, "resume", "denied"), `denied goes on \(ended: hold\)`)
	h.shows(`(?m)^denied +held `, "destinations")
	h.says(h.shell(0, "resume", "shaped"), `shaped goes on \(ended: hold\)`)
	h.shows(`(?m)^shaped +held `, "destinations")
	if n := h.poisoned("denied") + h.poisoned("shaped"); n != before {
		t.Errorf("%d poisoned by going on", n-before)
	}

	resp, err := http.Post("http://"+h.api+"/v1/destinations/shaped/resume", "application/json", strings.NewReader(`{"accept_failures": true}`))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	h.says(string(body), `"ended": ?\["hold"\]`)
	harness.WaitFor(t, 30*time.Second, "all of shaped to be poisoned", func() bool { return h.poisoned("shaped") == heldTotal })
	h.shows(`(?m)^shaped +running `, "destinations")

	poisoned := h.poisoned("denied")
	h.denies.Store(false)
	harness.WaitFor(t, 30*time.Second, "the repaired receiver to get all that waited", func() bool { all, _ := h.order("denied"); return all >= heldTotal-poisoned })
	h.shows(`(?m)^denied +running +0 `, "destinations")
	if all, ordered := h.order("denied"); all != heldTotal-poisoned || !ordered {
		t.Errorf("%d came, want %d, ordered %v", all, heldTotal-poisoned, ordered)
	}
	h.shell(0, "poison", "redrive", "--destination", "denied")
	harness.WaitFor(t, 30*time.Second, "the redriven events", func() bool { all, _ := h.order("denied"); return all == heldTotal })
	h.says(h.shell(0, "resume", "denied"), `denied was not paused or held`)
}

// Somebody accepts by the command that a receiver refuses everybody.
func TestFailuresAcceptedFromTheShell(t *testing.T) {
	h := newHeldServer(t)
	h.shows(`(?m)^denied +held `, "destinations")
	h.says(h.shell(0, "resume", "denied", "--accept-failures"), `denied goes on \(ended: hold\)`)
	harness.WaitFor(t, 30*time.Second, "all to be poisoned", func() bool { return h.poisoned("denied") == heldTotal })
	h.shows(`(?m)^denied +running `, "destinations")
	h.shell(2, "pause", "denied", "--accept-failures")
}
