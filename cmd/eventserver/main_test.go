package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// asProgram is the variable that makes the test's own binary the program, so that a
// test of a process needs no build.
const asProgram = "EVENTSERVER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the path of the program.
func program(t *testing.T) string {
	t.Helper()
	t.Setenv(asProgram, "1")
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A killed server has lost nothing that it accepted, and delivers it in order; SIGTERM
// ends it without an error. e2e/chaos has the long forms.
func TestKillLosesNothing(t *testing.T) {
	const users, each = 5, 4
	var mu sync.Mutex
	up := false
	came := map[string][]string{} // ids by user, the first time
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !up {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		user, id := r.Header.Get("Event-Key"), r.Header.Get("Event-Id")
		if !slices.Contains(came[user], id) {
			came[user] = append(came[user], id)
		}
	}))
	defer receiver.Close()
	dir := t.TempDir()
	s := &harness.Server{Instance: "one", Bin: program(t), Config: filepath.Join(dir, "eventserver.yaml"), Addr: harness.FreeAddr(t), Quiet: true, Log: filepath.Join(dir, "log")}
	harness.Write(t, dir, "eventserver.yaml", fmt.Sprintf("http: {addr: %q}\nadmin: {addr: 'off'}\nbroker: {dir: %q, partitions: 2}\n"+
		"destinations: [{id: hook, kind: webhook, url: %q, allow_private: true, breaker: {initial: 100ms, max: 200ms}}]\n", s.Addr, filepath.Join(dir, "data"), receiver.URL))
	p := s.Start(t)
	for n := range each {
		for u := range users {
			resp, err := http.Post("http://"+s.Addr+"/v1/events", "application/json", strings.NewReader(fmt.Sprintf(`{"id":"u%d-%d","userId":"u%d"}`, u, n, u)))
			if err != nil || resp.StatusCode != http.StatusAccepted {
				t.Fatal(resp, err)
			}
			_ = resp.Body.Close()
		}
	}
	p.Kill()
	mu.Lock()
	up = true
	mu.Unlock()
	p = s.Start(t)
	harness.WaitFor(t, 30*time.Second, "all that was accepted before the kill", func() bool {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, ids := range came {
			n += len(ids)
		}
		return n == users*each
	})
	p.Terminate()
	for user, ids := range came {
		if !slices.IsSorted(ids) {
			t.Errorf("%s: %v", user, ids)
		}
	}
}
