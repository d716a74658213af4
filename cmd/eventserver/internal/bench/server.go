package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// setup is how the program of one run is started.
type setup struct {
	program string
	args    []string
	addr    string
	profile string // what its profiles are named after
}

// newSetup writes the configuration of one run.
func newSetup(ctx context.Context, cfg Config, dir string, what subject, to []target) (*setup, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &setup{program: what.program, addr: l.Addr().String(), profile: filepath.Base(what.program) + "-" + what.ordering}
	_ = l.Close()
	prefix, data := fmt.Sprintf("bench%d.", time.Now().UnixNano()), filepath.Join(dir, "data")
	if what.byHand {
		s.profile = "byhand"
		s.args = cfg.byHandArgs(s.addr, strings.NewReplacer("PREFIX", prefix, "DIR", data), to)
		return s, nil
	}
	broker := strings.NewReplacer("PREFIX", prefix, "DIR", strconv.Quote(data)).Replace(cfg.Broker)
	yaml := fmt.Sprintf("http: {addr: %q, max_in_flight: 4096}\nadmin: {addr: \"off\"}\nbroker: %s\nordering: %s\nlog: {level: warn}\ndestinations:\n", s.addr, broker, what.ordering)
	for _, t := range to {
		yaml += fmt.Sprintf("  - {id: %[1]s, kind: webhook, url: %[2]q, allow_private: true, concurrency: %[3]d, max_idle_conns: %[3]d%[4]s}\n",
			t.id, t.url, cfg.Concurrency, cfg.batchYAML())
	}
	if cfg.Schemas {
		schemas := filepath.Join(dir, "schemas")
		if err := errors.Join(os.Mkdir(schemas, 0o700), os.WriteFile(filepath.Join(schemas, "bench.yaml"), []byte(eventSchema), 0o600)); err != nil {
			return nil, err
		}
		yaml += fmt.Sprintf("schemas: {dir: %q}\n", schemas)
	}
	file := filepath.Join(dir, "eventserver.yaml")
	s.args = []string{"serve", "--config", file}
	return s, os.WriteFile(file, []byte(yaml), 0o600)
}

// byHandArgs is the command line of the program by hand.
func (c Config) byHandArgs(addr string, place *strings.Replacer, to []target) []string {
	var urls []string
	for _, t := range to {
		urls = append(urls, t.url)
	}
	args := []string{"bench", "by-hand", "--addr", addr, "--to", strings.Join(urls, ","),
		"--concurrency", strconv.Itoa(c.Concurrency), "--deliver-batch", strconv.Itoa(c.DeliverBatch)}
	for _, a := range c.ByHand {
		args = append(args, place.Replace(a))
	}
	return args
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
	args := slices.Clone(s.args)
	if profiles != "" {
		name := filepath.Join(profiles, fmt.Sprintf("%s-%d", s.profile, time.Now().Unix()))
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
	_, err := s.get(ctx, "/readyz")
	return err == nil
}

// goroutines asks the metrics for their number; 0 where there are none.
func (s *setup) goroutines(ctx context.Context) int64 {
	text, _ := s.get(ctx, "/metrics")
	_, after, _ := strings.Cut(text, "\ngo_goroutines ")
	line, _, _ := strings.Cut(after, "\n")
	n, _ := strconv.ParseInt(line, 10, 64)
	return n
}

// get returns the answer's body where its status is 200.
func (s *setup) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	return string(text), nil
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
	peak int64         // bytes resident, the most until now
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
	if f := strings.Fields(after); len(f) > 12 {
		user, _ := strconv.ParseInt(f[11], 10, 64)
		system, _ := strconv.ParseInt(f[12], 10, 64)
		u.cpu = time.Duration(user+system) * time.Second / ticks
	}
	kib, _ := strconv.ParseInt(strings.TrimSuffix(s.proc("status", "VmHWM:"), " kB"), 10, 64)
	u.peak = kib << 10
	u.read, _ = strconv.ParseInt(s.proc("io", "rchar:"), 10, 64)
	return u
}

// proc returns a line of a file of the process' in /proc.
func (s *server) proc(file, name string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file))
	_, after, _ := strings.Cut(string(text), name)
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}
