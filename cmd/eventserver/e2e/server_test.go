//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// testServer is a server with a healthy webhook, whose streams the test chooses.
type testServer struct {
	t              *testing.T
	bin, config    string
	addr, admin    string
	delivered      atomic.Int64
	hold           chan struct{} // deliveries wait until it is closed; nil: they do not
	asked          chan struct{} // a token for each delivery
	stdout, stderr *os.File
	cmd            *exec.Cmd
	done           chan error
	destinations   string // more of them, in YAML
	wrap           string // shell text around the program, with $0 for it
	shutdown       string
}

func newTestServer(t *testing.T, bin string) *testServer {
	t.Helper()
	s := &testServer{t: t, bin: bin, addr: harness.FreeAddr(t), admin: harness.FreeAddr(t), asked: make(chan struct{}, 1000), shutdown: "1s"}
	s.config = filepath.Join(t.TempDir(), "eventserver.yaml")
	return s
}

// text is the configuration.
func (s *testServer) text() string {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.asked <- struct{}{}
		if s.hold != nil {
			<-s.hold
		}
		s.delivered.Add(1)
	}))
	s.t.Cleanup(receiver.Close)
	if s.hold != nil {
		s.t.Cleanup(func() { close(s.hold) })
	}
	return fmt.Sprintf("http: {addr: %q, shutdown_timeout: %s}\nadmin: {addr: %q}\nbroker: {kind: memory, partitions: 2}\ndestinations:\n  - {id: hook, kind: webhook, url: %q, allow_private: true}\n%s",
		s.addr, s.shutdown, s.admin, receiver.URL, s.destinations)
}

func (s *testServer) write(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// start returns when the process runs.
func (s *testServer) start() {
	s.t.Helper()
	s.cmd = exec.CommandContext(context.Background(), s.bin, "--config", s.config)
	if s.wrap != "" {
		s.cmd = exec.CommandContext(context.Background(), "sh", "-c", s.wrap, s.bin, "--config", s.config)
	}
	if s.stdout != nil { // a nil *os.File is no nil io.Writer
		s.cmd.Stdout = s.stdout
	}
	if s.stderr != nil {
		s.cmd.Stderr = s.stderr
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan error, 1)
	go func() { s.done <- s.cmd.Wait() }()
	s.t.Cleanup(func() { _ = s.cmd.Process.Kill(); s.ended() })
}

func (s *testServer) ended() error {
	err := <-s.done
	s.done <- err
	return err
}

func (s *testServer) get(url string) int {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (s *testServer) ready() {
	s.t.Helper()
	harness.WaitFor(s.t, time.Minute, "the server to be ready", func() bool {
		select {
		case err := <-s.done:
			s.done <- err
			s.t.Fatalf("the server ended: %v", err)
		default:
		}
		return s.get(s.addr+"/readyz") == http.StatusOK
	})
}

// works wants an event accepted and delivered, and both listeners to answer.
func (s *testServer) works() {
	s.t.Helper()
	before := s.delivered.Load()
	resp, err := http.Post("http://"+s.addr+"/v1/events", "application/json", strings.NewReader(`{"userId":"u"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		s.t.Fatalf("answered %d", resp.StatusCode)
	}
	harness.WaitFor(s.t, 20*time.Second, "the delivery", func() bool { return s.delivered.Load() > before })
	if code := s.get(s.addr + "/metrics"); code != http.StatusOK {
		s.t.Errorf("/metrics answered %d", code)
	}
	if code := s.get(s.admin + "/v1/destinations"); code != http.StatusOK {
		s.t.Errorf("the admin API answered %d", code)
	}
}

// lines makes the server write at least n lines to its log: each reload is one.
func (s *testServer) lines(n int) {
	s.t.Helper()
	for range n {
		resp, err := http.Post("http://"+s.admin+"/v1/reload", "application/json", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

// stops wants a graceful end.
func (s *testServer) stops() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		s.done <- err
		if err != nil {
			s.t.Errorf("after SIGTERM: %v", err)
		}
	case <-time.After(time.Minute):
		s.t.Fatal("SIGTERM does not end the server")
	}
}
