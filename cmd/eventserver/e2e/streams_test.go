//go:build unix

package e2e_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

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
	bin := harness.Program(t)
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
			s := newTestServer(t, bin)
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
			s := newTestServer(t, bin)
			s.write(s.text() + "log: {format: " + format + "}\n")
			r, w := pipe(t)
			s.stderr = w
			s.start()
			s.ready()
			fill(t, w)
			_ = w.Close() // the server has its own
			dropped := regexp.MustCompile(`(?m)^eventserver_log_lines_dropped_total ([1-9]\d*)$`)
			page := func() string {
				resp, err := http.Get("http://" + s.addr + "/metrics")
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
		for _, args := range [][]string{{"version"}, {"help"}, {"schema", "list", "--dir", harness.File(t, "schemas")}} {
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
