package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is the program under test, in a process of its own.
type server struct {
	cmd  *exec.Cmd
	addr string
	log  bytes.Buffer
	done chan error
}

// startServer writes the configuration of one run and waits until it is ready.
func startServer(ctx context.Context, cfg Config, dir, ordering, receivers string) (*server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{addr: l.Addr().String(), done: make(chan error, 1)}
	_ = l.Close()
	broker := strings.NewReplacer("PREFIX", fmt.Sprintf("bench%d.", time.Now().UnixNano()), "DIR", strconv.Quote(filepath.Join(dir, "data"))).Replace(cfg.Broker)
	yaml := fmt.Sprintf("http: {addr: %q, max_in_flight: 4096}\nadmin: {addr: \"off\"}\nbroker: %s\nordering: %s\nlog: {level: warn}\ndestinations:\n", s.addr, broker, ordering)
	for i := range cfg.Destinations {
		yaml += fmt.Sprintf("  - {id: %[1]s, kind: webhook, url: %[2]q, allow_private: true, concurrency: %[3]d, max_idle_conns: %[3]d%[4]s}\n",
			destination(i), receivers+"/"+destination(i), cfg.Concurrency, cfg.batchYAML())
	}
	if cfg.Schemas {
		schemas := filepath.Join(dir, "schemas")
		if err := errors.Join(os.Mkdir(schemas, 0o700), os.WriteFile(filepath.Join(schemas, "bench.yaml"), []byte(eventSchema), 0o600)); err != nil {
			return nil, err
		}
		yaml += fmt.Sprintf("schemas: {dir: %q}\n", schemas)
	}
	file := filepath.Join(dir, "eventserver.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	args := []string{"serve", "--config", file}
	if cfg.Profile != "" {
		name := filepath.Join(cfg.Profile, fmt.Sprintf("%s-%d", ordering, time.Now().Unix()))
		args = append(args, "--cpuprofile", name+".cpu.pprof", "--memprofile", name+".mem.pprof")
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), cfg.Program, args...) //nolint:gosec // the program is the caller's own
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.done <- s.cmd.Wait() }()
	for {
		if s.ready(ctx) {
			return s, nil
		}
		select {
		case err := <-s.done:
			return nil, errors.Join(fmt.Errorf("the server ended while starting: %s", s.log.String()), err)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), s.stop())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c Config) batchYAML() string {
	if c.DeliverBatch <= 1 {
		return ""
	}
	return fmt.Sprintf(", batch: {max_events: %d}", c.DeliverBatch)
}

func (s *server) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// stop ends the server gracefully.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := <-s.done; err != nil {
		return fmt.Errorf("the server ended with: %w: %s", err, s.log.String())
	}
	return nil
}

// usage is what the process has used of the machine.
type usage struct {
	cpu time.Duration // user and system
	rss int64         // bytes now
}

// usage reads /proc; elsewhere than on Linux it returns zeroes.
func (s *server) usage() usage {
	var u usage
	const ticks = 100 // USER_HZ of every Linux that Go runs on
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return u
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	if f := strings.Fields(after); len(f) > 21 {
		user, _ := strconv.ParseInt(f[11], 10, 64)
		system, _ := strconv.ParseInt(f[12], 10, 64)
		pages, _ := strconv.ParseInt(f[21], 10, 64)
		u.cpu = time.Duration(user+system) * time.Second / ticks
		u.rss = pages * int64(os.Getpagesize())
	}
	return u
}
