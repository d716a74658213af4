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

// setup is the configuration of one run.
type setup struct {
	program, ordering string
	file, addr        string
}

// newSetup writes the configuration of one run.
func newSetup(ctx context.Context, cfg Config, dir, program, ordering, receivers string) (*setup, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &setup{program: program, ordering: ordering, file: filepath.Join(dir, "eventserver.yaml"), addr: l.Addr().String()}
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
	return s, os.WriteFile(s.file, []byte(yaml), 0o600)
}

func (c Config) batchYAML() string {
	if c.DeliverBatch <= 1 {
		return ""
	}
	return fmt.Sprintf(", batch: {max_events: %d}", c.DeliverBatch)
}

// server is the program under test, in a process of its own.
type server struct {
	setup *setup
	cmd   *exec.Cmd
	log   bytes.Buffer
	began time.Time
	ready time.Duration // what the start took
	done  chan error
}

// start waits until the server is ready.
func (s *setup) start(ctx context.Context, profiles string) (*server, error) {
	args := []string{"serve", "--config", s.file}
	if profiles != "" {
		name := filepath.Join(profiles, fmt.Sprintf("%s-%s-%d", filepath.Base(s.program), s.ordering, time.Now().Unix()))
		args = append(args, "--cpuprofile", name+".cpu.pprof", "--memprofile", name+".mem.pprof")
	}
	srv := &server{setup: s, done: make(chan error, 1)}
	srv.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.program, args...) //nolint:gosec // the program is the caller's own
	srv.cmd.Stdout, srv.cmd.Stderr = &srv.log, &srv.log
	srv.began = time.Now()
	if err := srv.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { srv.done <- srv.cmd.Wait() }()
	for {
		if s.ready(ctx) {
			srv.ready = time.Since(srv.began)
			return srv, nil
		}
		select {
		case err := <-srv.done:
			return nil, errors.Join(fmt.Errorf("the server ended while starting: %s", srv.log.String()), err)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), srv.stop())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *setup) ready(ctx context.Context) bool {
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

// kill ends the server with kill -9.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done //nolint:errcheck // it was killed
}

// usage is what the process has used of the machine.
type usage struct {
	cpu  time.Duration // user and system
	rss  int64         // bytes now
	read int64         // bytes of files, also from the page cache
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
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", s.cmd.Process.Pid))
	if err != nil {
		return u
	}
	_, after, _ = strings.Cut(string(io), "rchar: ")
	after, _, _ = strings.Cut(after, "\n")
	u.read, _ = strconv.ParseInt(after, 10, 64)
	return u
}
