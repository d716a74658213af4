package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Start is one start of a program with undelivered events in its directory.
type Start struct {
	Program string        `json:"program"`  // its path, or "by hand"
	After   string        `json:"after"`    // how the process before it ended
	Ready   time.Duration `json:"ready_ns"` // from the start of the program until /readyz is 200
	First   time.Duration `json:"first_ns"` // until the first delivery
	CPU     time.Duration `json:"cpu_ns"`   // of the server until it was ready
	Read    int64         `json:"read_bytes"`
}

const afterStop, afterKill = "a stop", "kill -9"

// backlog is a program and the directory that it is started on.
type backlog struct {
	cfg     Config
	program string
	dir     string
	recv    *receivers
	setup   *setup
	load    *clients
	srv     *server
}

// measureStarts fills a directory for each program, ends the program and starts it
// again, and at last waits until everything is delivered.
func measureStarts(ctx context.Context, cfg Config) (_ *Report, err error) {
	cfg.Backlog = 2 * cfg.Undelivered
	cfg.Orderings = cfg.Orderings[:1]
	report := &Report{out: cfg.Out}
	fmt.Fprintf(cfg.Out, "%d undelivered events of %d bytes; before each end %d more\n", cfg.Undelivered, cfg.Size, cfg.Undelivered/20)
	var all []*backlog
	defer func() {
		for _, b := range all {
			err = errors.Join(err, b.close())
		}
	}()
	for _, what := range cfg.subjects() {
		b, err := newBacklog(ctx, cfg, what)
		if b != nil {
			all = append(all, b)
		}
		if err != nil {
			return report, err
		}
	}
	fmt.Fprintf(cfg.Out, "%-9s %8s %14s %8s %9s  %s\n", "after", "ready", "first delivery", "CPU", "MiB read", "program")
	for _, after := range []string{afterStop, afterKill} {
		for range cfg.Starts {
			for _, b := range all {
				s, err := b.restart(ctx, after)
				if err != nil {
					return report, fmt.Errorf("%s: %w", b.program, err)
				}
				report.Starts = append(report.Starts, s)
				s.print(cfg, s.After)
			}
		}
	}
	for _, b := range all {
		for _, after := range []string{afterStop, afterKill} {
			medianStart(report.Starts, b.program, after).print(cfg, "median")
		}
	}
	for _, b := range all {
		r, err := b.drain(ctx)
		if err != nil {
			return report, err
		}
		report.Runs = append(report.Runs, r)
		fmt.Fprintf(cfg.Out, "%d accepted, %d deliveries, lost %d, order breaks %d, duplicates %d  %s\n",
			r.Verdict.Accepted, r.Verdict.Delivered, r.Verdict.Lost, r.Verdict.OrderBreaks, r.Verdict.Duplicates, b.program)
	}
	return report, nil
}

func (s Start) print(cfg Config, name string) {
	fmt.Fprintf(cfg.Out, "%-9s %8v %14v %8v %9.1f  %s\n", name, s.Ready.Round(time.Millisecond), s.First.Round(time.Millisecond),
		s.CPU.Round(10*time.Millisecond), float64(s.Read)/(1<<20), s.Program)
}

// newBacklog fills a directory.
func newBacklog(ctx context.Context, cfg Config, what subject) (b *backlog, err error) {
	b = &backlog{cfg: cfg, program: what.title()}
	if b.dir, err = os.MkdirTemp("", "eventserver-bench-"); err != nil {
		return nil, err
	}
	if b.recv, err = newReceivers(ctx, cfg, 0); err != nil {
		return b, err
	}
	b.recv.down.Store(true)
	if b.setup, err = newSetup(ctx, cfg, b.dir, what, b.recv.targets()); err != nil {
		return b, err
	}
	if b.srv, err = b.setup.start(ctx, ""); err != nil {
		return b, err
	}
	b.load = newClients(cfg, b.setup.addr, b.recv)
	return b, b.load.run(ctx, int64(cfg.Undelivered))
}

// restart posts some more, ends the server and starts it.
func (b *backlog) restart(ctx context.Context, after string) (Start, error) {
	s := Start{Program: b.program, After: after}
	if err := b.load.run(ctx, b.load.accepted.Load()+int64(b.cfg.Undelivered/20)); err != nil {
		return s, err
	}
	if after == afterKill {
		b.srv.kill()
	} else if err := b.srv.stop(); err != nil {
		return s, err
	}
	b.srv = nil
	next := b.recv.next()
	srv, err := b.setup.start(ctx, b.cfg.Profile)
	if err != nil {
		return s, err
	}
	b.srv = srv
	used := srv.usage()
	s.Ready, s.CPU, s.Read = srv.ready, used.cpu, used.read
	select {
	case at := <-next:
		s.First = at.Sub(srv.began)
		return s, nil
	case <-time.After(b.cfg.Drain):
		return s, fmt.Errorf("nothing was delivered %v after a start", b.cfg.Drain)
	case <-ctx.Done():
		return s, ctx.Err()
	}
}

// drain waits until everything is delivered, as long as something comes.
func (b *backlog) drain(ctx context.Context) (Result, error) {
	r := Result{Program: b.program}
	b.recv.down.Store(false)
	for came, last := int64(-1), time.Now(); time.Since(last) < b.cfg.Drain; {
		if now := b.recv.first.Load(); now != came {
			came, last = now, time.Now()
		}
		if came == b.load.accepted.Load()*int64(b.cfg.Destinations) {
			break
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return r, ctx.Err()
		}
	}
	r.Verdict = b.recv.check.Verdict()
	r.Drained = r.Verdict.Lost == 0
	r.Stuck = !r.Drained
	return r, nil
}

// close ends what runs and removes the directory.
func (b *backlog) close() (err error) {
	if b.srv != nil {
		err = b.srv.stop()
	}
	if b.recv != nil {
		err = errors.Join(err, b.recv.close())
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// medianStart has the median of each figure.
func medianStart(all []Start, program, after string) Start {
	m := Start{Program: program + ", after " + after, After: after}
	var ready, first, cpu []time.Duration
	var read []int64
	for _, s := range all {
		if s.Program == program && s.After == after {
			ready, first, cpu, read = append(ready, s.Ready), append(first, s.First), append(cpu, s.CPU), append(read, s.Read)
		}
	}
	slices.Sort(ready)
	slices.Sort(first)
	slices.Sort(cpu)
	slices.Sort(read)
	m.Ready, m.First, m.CPU, m.Read = percentile(ready, .5), percentile(first, .5), percentile(cpu, .5), read[len(read)/2]
	return m
}
