//go:build unix

package e2e_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// fifo puts a named pipe in the place of the configuration. The function that it
// returns writes to it, once the server waits for that: its start is under way.
func (s *testServer) fifo() (write func(text string)) {
	s.t.Helper()
	if err := syscall.Mkfifo(s.config, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return func(text string) {
		s.t.Helper()
		f, err := os.OpenFile(s.config, os.O_WRONLY, 0) // waits for a reader
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		for range 50 {
			_ = s.cmd.Process.Signal(syscall.SIGHUP)
		}
		if _, err := io.WriteString(f, text); err != nil {
			s.t.Fatal(err)
		}
	}
}

// log collects what the server writes to standard error.
func (s *testServer) log() func() string {
	s.t.Helper()
	r, w := pipe(s.t)
	s.stderr = w
	text := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(r)
		text <- string(b)
	}()
	return func() string {
		_ = w.Close()
		all := <-text
		text <- all
		return all
	}
}

// The signals of the server, whenever they come.
func TestSignals(t *testing.T) {
	bin := harness.Program(t)
	for name, test := range map[string]func(*testing.T, string){
		"SIGHUP while starting": testHangupWhileStarting, "reload of a pipe": testReloadOfAPipe,
		"end while starting": testSignalWhileStarting, "while stopping": testSignalsWhileStopping,
	} {
		t.Run(name, func(t *testing.T) { test(t, bin) })
	}
}

// SIGHUP ended a server that was starting. It is remembered until the server is
// ready; there it is a reload, which a configuration from a pipe cannot have.
func testHangupWhileStarting(t *testing.T, bin string) {
	s := newTestServer(t, bin)
	write, log := s.fifo(), s.log()
	s.start()
	write(s.text())
	for range 50 {
		_ = s.cmd.Process.Signal(syscall.SIGHUP)
	}
	s.ready()
	s.works()
	harness.WaitFor(t, 20*time.Second, "the reload to be refused", func() bool {
		resp, err := http.Get("http://" + s.addr + "/metrics")
		if err != nil {
			return false
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		return strings.Contains(string(b), "\neventserver_config_last_reload_successful 0\n")
	})
	s.stops()
	if text := log(); !strings.Contains(text, "by=SIGHUP") || !strings.Contains(text, "cannot be read again; restart the server") {
		t.Errorf("log: %s", text)
	}
}

// A reload waited for the writer of a pipe that had come in the place of a file,
// and all later reloads and the stop with it.
func testReloadOfAPipe(t *testing.T, bin string) {
	for name, put := range map[string]func(path string) error{
		"named pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory":  func(path string) error { return os.Mkdir(path, 0o700) },
		"device":     func(path string) error { return os.Symlink("/dev/zero", path) },
		"socket": func(path string) error {
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer func() { _ = syscall.Close(fd) }()
			return syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, bin)
			text := s.text()
			s.write(text)
			s.start()
			s.ready()
			if err := os.Remove(s.config); err != nil {
				t.Fatal(err)
			}
			if err := put(s.config); err != nil {
				t.Skip(err)
			}
			reload := func() (int, string) {
				resp, err := http.Post("http://"+s.admin+"/v1/reload", "application/json", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				b, _ := io.ReadAll(resp.Body)
				return resp.StatusCode, string(b)
			}
			_ = s.cmd.Process.Signal(syscall.SIGHUP)
			if code, body := reload(); code/100 != 4 && code/100 != 5 && !strings.Contains(body, "regular file") {
				t.Errorf("%d %s", code, body)
			}
			s.works()
			if err := os.Remove(s.config); err != nil {
				t.Fatal(err)
			}
			s.write(text)
			if code, body := reload(); code != http.StatusOK {
				t.Errorf("with the file again: %d %s", code, body)
			}
			s.stops()
		})
	}
}

// A start that waits, for a pipe or for Kafka, ends at the first signal, and well.
func testSignalWhileStarting(t *testing.T, bin string) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run("pipe "+signal.String(), func(t *testing.T) {
			s := newTestServer(t, bin)
			_ = s.fifo()
			s.start()
			f, err := os.OpenFile(s.config, os.O_WRONLY, 0) // it reads
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			_ = s.cmd.Process.Signal(signal)
			if err := s.ended(); err != nil {
				t.Error(err)
			}
		})
		t.Run("Kafka "+signal.String(), func(t *testing.T) {
			s := newTestServer(t, bin)
			s.write("broker: {kind: kafka, brokers: [\"" + mute.Addr().String() + "\"]}\ndestinations: []\n")
			s.start()
			c, err := mute.Accept() // it connects
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = s.cmd.Process.Signal(signal)
			if err := s.ended(); err != nil {
				t.Error(err)
			}
		})
	}
}

// While the server stops, SIGHUP does nothing and a second SIGTERM or SIGINT ends
// it at once, however soon it follows.
func testSignalsWhileStopping(t *testing.T, bin string) {
	for _, c := range []struct {
		name   string
		then   []syscall.Signal
		status int // 0: it ends well
	}{
		{"SIGHUP", []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}, 0},
		{"SIGTERM twice", []syscall.Signal{syscall.SIGTERM}, 128 + int(syscall.SIGTERM)},
		{"SIGINT after SIGTERM", []syscall.Signal{syscall.SIGHUP, syscall.SIGINT}, 128 + int(syscall.SIGINT)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestServer(t, bin)
			s.hold = make(chan struct{})
			s.shutdown = "10m"
			if c.status == 0 {
				s.shutdown = "1s"
			}
			s.write(s.text())
			lines := make(chan string, 1000)
			r, w := pipe(t)
			s.stderr = w
			s.start()
			go func() {
				defer close(lines)
				buf := make([]byte, 1<<16)
				for {
					n, err := r.Read(buf)
					if err != nil {
						return
					}
					lines <- string(buf[:n])
				}
			}()
			s.ready()
			_ = w.Close()
			resp, err := http.Post("http://"+s.addr+"/v1/events", "application/json", strings.NewReader(`{"userId":"u"}`))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			<-s.asked
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
			var log strings.Builder
			for text := range lines {
				log.WriteString(text)
				if strings.Contains(log.String(), "msg=stopping") {
					break
				}
			}
			for _, sig := range c.then {
				_ = s.cmd.Process.Signal(sig)
			}
			err = s.ended()
			for text := range lines {
				log.WriteString(text)
			}
			var exit *exec.ExitError
			switch {
			case c.status == 0:
				if err != nil && strings.Contains(err.Error(), "signal") || !strings.Contains(log.String(), "msg=stopped") {
					t.Errorf("%v\n%s", err, log.String())
				}
			case !errors.As(err, &exit) || exit.ExitCode() != c.status:
				t.Errorf("%v, want status %d\n%s", err, c.status, log.String())
			}
		})
	}
}
