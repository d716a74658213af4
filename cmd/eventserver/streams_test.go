//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// standing is a server with a healthy webhook, whose streams the test chooses.
type standing struct {
	t              *testing.T
	bin, config    string
	front, admin   string
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

func newStanding(t *testing.T, bin string) *standing {
	t.Helper()
	s := &standing{t: t, bin: bin, front: freeAddr(t), admin: freeAddr(t), asked: make(chan struct{}, 1000), shutdown: "1s"}
	s.config = filepath.Join(t.TempDir(), "eventserver.yaml")
	return s
}

// text is the configuration.
func (s *standing) text() string {
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
		s.front, s.shutdown, s.admin, receiver.URL, s.destinations)
}

func (s *standing) write(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// start returns when the process runs.
func (s *standing) start() {
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

func (s *standing) ended() error {
	err := <-s.done
	s.done <- err
	return err
}

func (s *standing) get(url string) int {
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

func (s *standing) ready() {
	s.t.Helper()
	waitFor(s.t, time.Minute, "the server to be ready", func() bool {
		select {
		case err := <-s.done:
			s.done <- err
			s.t.Fatalf("the server ended: %v", err)
		default:
		}
		return s.get(s.front+"/readyz") == http.StatusOK
	})
}

// works wants an event accepted and delivered, and both listeners to answer.
func (s *standing) works() {
	s.t.Helper()
	before := s.delivered.Load()
	resp, err := http.Post("http://"+s.front+"/v1/events", "application/json", strings.NewReader(`{"userId":"u"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		s.t.Fatalf("answered %d", resp.StatusCode)
	}
	waitFor(s.t, 20*time.Second, "the delivery", func() bool { return s.delivered.Load() > before })
	if code := s.get(s.front + "/metrics"); code != http.StatusOK {
		s.t.Errorf("/metrics answered %d", code)
	}
	if code := s.get(s.admin + "/v1/destinations"); code != http.StatusOK {
		s.t.Errorf("the admin API answered %d", code)
	}
}

// lines makes the server write at least n lines to its log: each reload is one.
func (s *standing) lines(n int) {
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
func (s *standing) stops() {
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

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

// sockets is a pair, as systemd gives to its services.
func sockets(t *testing.T) (r, w *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fds[0])
	syscall.CloseOnExec(fds[1])
	r, w = os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

// fill leaves no room in the buffer between w and its reader.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	c, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := c.Control(func(fd uintptr) {
		if failed = syscall.SetNonblock(int(fd), true); failed != nil {
			return
		}
		for size := 4096; size > 0; {
			if _, err := syscall.Write(int(fd), bytes.Repeat([]byte{'#'}, size)); err != nil {
				size /= 2
			}
		}
		failed = syscall.SetNonblock(int(fd), false)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// The standard streams of the server and of commands.
func TestStreams(t *testing.T) {
	bin := binary(t)
	for name, test := range map[string]func(*testing.T, string){
		"without reader": testStreamsWithoutReader, "dropped lines": testDroppedLinesAreTold,
		"failed start": testFailedStartWithFullStderr, "commands": testCommandsEndQuietlyWithoutReader,
	} {
		t.Run(name, func(t *testing.T) { test(t, bin) })
	}
}

// A reader of the server's streams that is gone, stopped or never was there ends
// nothing and holds up nothing: SIGPIPE ended the server, and a full pipe held up
// /metrics, the admin API and the stop.
func testStreamsWithoutReader(t *testing.T, bin string) {
	type stream struct {
		name   string
		stdout bool // else standard error
		both   bool
		make   func(t *testing.T) (r, w *os.File)
		before func(t *testing.T, r, w *os.File)
		after  func(t *testing.T, r, w *os.File)
		wrap   string
	}
	leave := func(_ *testing.T, r, _ *os.File) { _ = r.Close() }
	full := func(t *testing.T, _, w *os.File) { fill(t, w) }
	device := func(t *testing.T) (r, w *os.File) {
		w, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		return nil, w
	}
	var cases []stream
	for _, on := range []struct {
		name         string
		stdout, both bool
	}{{"stdout", true, false}, {"stderr", false, false}, {"both", false, true}} {
		for _, kind := range []struct {
			name string
			make func(t *testing.T) (r, w *os.File)
		}{{"pipe", pipe}, {"socket", sockets}} {
			cases = append(cases,
				stream{name: on.name + " " + kind.name + " gone before", stdout: on.stdout, both: on.both, make: kind.make, before: leave},
				stream{name: on.name + " " + kind.name + " gone later", stdout: on.stdout, both: on.both, make: kind.make, after: leave},
				stream{name: on.name + " " + kind.name + " full before", stdout: on.stdout, both: on.both, make: kind.make, before: full},
				stream{name: on.name + " " + kind.name + " full later", stdout: on.stdout, both: on.both, make: kind.make, after: full})
		}
		cases = append(cases, stream{name: on.name + " full device", stdout: on.stdout, both: on.both, make: device})
	}
	for name, redirect := range map[string]string{"stdout": ">&-", "stderr": "2>&-", "both": ">&- 2>&-"} {
		cases = append(cases, stream{name: name + " closed", wrap: `exec "$0" "$@" ` + redirect})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStanding(t, bin)
			s.wrap = c.wrap
			s.destinations = "  - {id: printed, kind: log, timeout: 1s}\n"
			s.write(s.text())
			var r, w *os.File
			if c.make != nil {
				r, w = c.make(t)
				if c.both || c.stdout {
					s.stdout = w
				}
				if c.both || !c.stdout {
					s.stderr = w
				}
			}
			if c.before != nil {
				c.before(t, r, w)
			}
			s.start()
			s.ready()
			if c.after != nil {
				s.works()
				c.after(t, r, w)
			}
			s.lines(5)
			for range 3 {
				s.works()
			}
			s.stops()
		})
	}
}

// What a reader missed is counted, and it is told at the place when it reads again.
func testDroppedLinesAreTold(t *testing.T, bin string) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			s := newStanding(t, bin)
			s.write(s.text() + "log: {format: " + format + "}\n")
			r, w := pipe(t)
			s.stderr = w
			s.start()
			s.ready()
			fill(t, w)
			_ = w.Close() // the server has its own
			dropped := regexp.MustCompile(`(?m)^eventserver_log_lines_dropped_total ([1-9]\d*)$`)
			page := func() string {
				resp, err := http.Get("http://" + s.front + "/metrics")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, _ := io.ReadAll(resp.Body)
				return string(b)
			}
			var faults strings.Builder // of which a failed reload has all on its line
			for n := range 500 {
				fmt.Fprintf(&faults, "no_such_key_%d: 1\n", n)
			}
			s.write(faults.String())
			for !dropped.MatchString(page()) { // its own buffer holds a megabyte
				s.lines(10)
			}
			const told = "lines of the log were dropped here"
			var log strings.Builder
			reader := bufio.NewReader(r)
			for !strings.Contains(log.String(), told) {
				line, err := reader.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				log.WriteString(line)
			}
			rest := make(chan string, 1)
			go func() {
				b, _ := io.ReadAll(reader)
				rest <- string(b)
			}()
			said := `lines=(\d+)`
			if format == "json" {
				said = `"lines":(\d+)`
			}
			s.stops()
			text := log.String() + <-rest
			found := regexp.MustCompile(`(?m)^.*`+told+`.*`+said+`.*$`).FindAllStringSubmatch(text, -1)
			if len(found) == 0 || found[0][1] == "0" {
				t.Errorf("the log tells %q", found)
			}
			for _, line := range []string{"stopping", "stopped"} {
				if !strings.Contains(text, line) {
					t.Errorf("the end of the log lacks %q: %s", line, text[max(0, len(text)-1000):])
				}
			}
		})
	}
}

// A faulty command line or configuration is not held up by a full pipe either.
func testFailedStartWithFullStderr(t *testing.T, bin string) {
	for _, args := range [][]string{{"--no-such-flag"}, {"--config", "/nowhere.yaml"}, {"-h"}} {
		_, w := pipe(t)
		fill(t, w)
		cmd := exec.CommandContext(t.Context(), bin, args...)
		cmd.Stderr = w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			if failed := err != nil; failed != (args[0] != "-h") {
				t.Errorf("%v: %v", args, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("%v hangs", args)
			_ = cmd.Process.Kill()
			<-done
		}
	}
}

// Commands that people pipe end quietly when their reader has what it wants,
// also where SIGPIPE is ignored, as under some supervisors.
func testCommandsEndQuietlyWithoutReader(t *testing.T, bin string) {
	for _, shell := range []string{`exec "$0" "$@"`, `trap '' PIPE; exec "$0" "$@"`} {
		for _, args := range [][]string{{"version"}, {"help"}, {"schema", "list", "--dir", "../../schemas"}} {
			r, w := pipe(t)
			_ = r.Close()
			var stderr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", shell, bin}, args...)...)
			cmd.Stdout, cmd.Stderr = w, &stderr
			err := cmd.Run()
			_ = w.Close()
			var exit *exec.ExitError
			if !errors.As(err, &exit) && !strings.Contains(shell, "trap") || stderr.Len() > 0 {
				t.Errorf("%v with %q: %v, %q", args, shell, err, stderr.String())
			}
		}
	}
}
