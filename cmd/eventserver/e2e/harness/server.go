package harness

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is how to start one instance again and again.
type Server struct {
	Instance string
	Bin      string // from Program
	Config   string // file
	Addr     string // its http.addr
	Log      string // file
	Quiet    bool   // the log is kept in the file, and not shown

	Starting func()                               // called before each start; nil: none
	Running  func(pid int, ended <-chan struct{}) // has a goroutine of its own from each start on; nil: none
}

// Process is one running server.
type Process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan error
}

// Start returns when the server accepts events.
func (s *Server) Start(t *testing.T) *Process {
	t.Helper()
	p, err := s.Launch(t)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Launch is Start for a server that may fail to.
func (s *Server) Launch(t *testing.T) (*Process, error) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), s.Bin, "--config", s.Config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if s.Starting != nil {
		s.Starting()
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, cmd: cmd, done: make(chan error, 1)}
	accepting := make(chan struct{})
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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
			} else if !s.Quiet {
				fmt.Fprintln(t.Output(), sc.Text())
			}
		}
	})
	ended := make(chan struct{})
	if s.Running != nil {
		go s.Running(cmd.Process.Pid, ended)
	}
	go func() {
		lines.Wait()
		err := cmd.Wait()
		close(ended)
		p.done <- err
	}()
	t.Cleanup(p.Kill)
	select {
	case <-accepting:
	case err := <-p.done:
		p.done <- err
		return nil, fmt.Errorf("server %s did not start: %w\n%s", s.Instance, err, s.Tail())
	case <-time.After(60 * time.Second):
		return nil, fmt.Errorf("server %s did not start within 60 s\n%s", s.Instance, s.Tail())
	}
	return p, nil
}

// Ready waits until the instance has its share of the partitions.
func (s *Server) Ready(t *testing.T) {
	t.Helper()
	WaitFor(t, time.Minute, s.Instance+" to be ready", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr+"/readyz", nil)
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

// Tail is the end of the instance's log.
func (s *Server) Tail() string {
	b, _ := os.ReadFile(s.Log)
	return string(b[max(0, len(b)-2000):])
}

// Crashes lists what no log may hold.
func (s *Server) Crashes() []string {
	b, _ := os.ReadFile(s.Log)
	var found []string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.Contains(line, "DATA RACE") {
			found = append(found, line)
		}
	}
	return found
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process at once and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.Wait()
}

// Wait waits for the process to end.
func (p *Process) Wait() error {
	err := <-p.done
	p.done <- err
	return err
}

// Ended reports whether the process has ended within some time, by itself or not.
func (p *Process) Ended(within time.Duration) bool {
	select {
	case err := <-p.done:
		p.done <- err
		return true
	default:
	}
	if within <= 0 {
		return false
	}
	select {
	case err := <-p.done:
		p.done <- err
		return true
	case <-time.After(within):
		return false
	}
}

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Terminate stops the server gracefully; it must end without an error.
func (p *Process) Terminate() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	if err := p.Wait(); err != nil {
		p.t.Errorf("after SIGTERM: %v", err)
	}
}
