package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary builds the real program once for the test, without cgo as the image is: with
// it, the broker's blocks are in C memory, of which libc keeps what was freed.
func binary(t *testing.T, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "eventserver")
	args := append([]string{"build", "-o", path}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, ".")...)
	if len(flags) == 0 { // the race detector needs it
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// server is how to start one instance again and again.
type server struct {
	instance, bin, config, addr string
	o                           *oracle
	quiet                       bool // its log is kept in a file, not shown
	log                         string
	resident                    *resident // nil: nobody looks
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
	dir := t.TempDir()
	s := &server{instance: instance, bin: of.bin, addr: freeAddr(t), config: filepath.Join(dir, "eventserver.yaml"), o: o, log: filepath.Join(t.ArtifactDir(), instance+".log"), resident: watchResident(t, instance, of.race)}
	yaml := fmt.Sprintf("memory: %d\nhttp: {addr: %q}\nadmin: {addr: \"127.0.0.1:0\"}\nbroker: %s\ndestinations:\n", memory, s.addr, strings.ReplaceAll(of.broker, "INSTANCE", instance))
	for _, id := range o.names {
		url := of.urls[id]
		if url == "" {
			url = "http://" + o.sites[id].addr
		}
		yaml += fmt.Sprintf("  - {id: %s, kind: webhook, url: %q, allow_private: true, headers: {X-Instance: %s}%s}\n", id, url, instance, of.destinations)
	}
	if err := os.WriteFile(s.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// process is one running eventserver.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan error
}

// start returns when the server accepts events.
func (s *server) start(t *testing.T) *process {
	t.Helper()
	p, err := s.launch(t)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// launch is start for a server that may fail to.
func (s *server) launch(t *testing.T) (*process, error) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), s.bin, "--config", s.config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.o.started(s.instance)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, done: make(chan error, 1)}
	accepting := make(chan struct{})
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(log, "--- start of process %d at %s\n", cmd.Process.Pid, time.Now().Format(time.RFC3339Nano))
	var lines sync.WaitGroup
	lines.Go(func() {
		defer func() { _ = log.Close() }()
		var once sync.Once
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			fmt.Fprintln(log, sc.Text())
			if strings.Contains(sc.Text(), "accepting events") {
				once.Do(func() { close(accepting) })
			} else if !s.quiet {
				fmt.Fprintln(t.Output(), sc.Text())
			}
		}
	})
	gone := make(chan struct{})
	if s.resident != nil {
		go s.resident.watch(cmd.Process.Pid, gone)
	}
	go func() {
		lines.Wait()
		err := cmd.Wait()
		close(gone)
		p.done <- err
	}()
	t.Cleanup(p.kill)
	select {
	case <-accepting:
	case err := <-p.done:
		p.done <- err
		return nil, fmt.Errorf("server %s did not start: %w\n%s", s.instance, err, s.tail())
	case <-time.After(60 * time.Second):
		return nil, fmt.Errorf("server %s did not start within 60 s\n%s", s.instance, s.tail())
	}
	return p, nil
}

// ready waits until the instance has its share of the partitions.
func (s *server) ready(t *testing.T) {
	t.Helper()
	waitFor(t, time.Minute, s.instance+" to be ready", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/readyz", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// tail is the end of the instance's log.
func (s *server) tail() string {
	b, _ := os.ReadFile(s.log)
	return string(b[max(0, len(b)-2000):])
}

// crashes lists what no log may hold.
func (s *server) crashes() []string {
	b, _ := os.ReadFile(s.log)
	var found []string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.Contains(line, "DATA RACE") {
			found = append(found, line)
		}
	}
	return found
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	p.ended()
}

// ended waits for the process to end.
func (p *process) ended() error {
	err := <-p.done
	p.done <- err
	return err
}

// gone reports whether the process has ended, by itself or not.
func (p *process) gone() bool {
	select {
	case err := <-p.done:
		p.done <- err
		return true
	default:
		return false
	}
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// terminate stops gracefully; it must end well.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if err := p.ended(); err != nil {
		p.t.Errorf("after SIGTERM: %v", err)
	}
}
