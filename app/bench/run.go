package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"eventserver/app/checker"
)

// Result is one run.
type Result struct {
	Program    string          `json:"program"` // its path
	Ordering   string          `json:"ordering"`
	Latency    time.Duration   `json:"receiver_latency_ns"`
	Pair       int             `json:"pair"`
	Deliveries float64         `json:"deliveries_per_second"` // first deliveries, of all destinations
	Events     float64         `json:"accepted_per_second"`
	P50        time.Duration   `json:"p50_ns"` // from due to arrival
	P99        time.Duration   `json:"p99_ns"`
	CPU        float64         `json:"server_cores"`
	EventCPU   time.Duration   `json:"server_cpu_per_event_ns"` // of the whole run: accepted, stored, delivered everywhere
	RSS        int64           `json:"server_rss_bytes"`        // at the end of the measured time
	Ready      time.Duration   `json:"ready_ns"`                // from the start of the program until /readyz is 200
	Restart    time.Duration   `json:"restart_ns"`              // the same, on what the run left behind
	Refused    int64           `json:"refused_requests"`
	Drained    bool            `json:"drained"` // everything arrived
	Stuck      bool            `json:"stuck"`   // it did not, and nothing more came: what is missing is lost
	Verdict    checker.Verdict `json:"verdict"`
}

// Run runs every combination, in turn, and prints a table.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Undelivered > 0 {
		return measureStarts(ctx, cfg)
	}
	report := newReport(cfg)
	programs := append([]string{cfg.Program}, cfg.Against...)
	for _, latency := range cfg.Latencies {
		for pair := 1; pair <= cfg.Pairs; pair++ {
			for _, ordering := range cfg.Orderings {
				for _, program := range programs {
					r, err := one(ctx, cfg, program, ordering, latency)
					if err != nil {
						return report, fmt.Errorf("%s, ordering %s, latency %v: %w", program, ordering, latency, err)
					}
					r.Pair = pair
					report.add(r)
				}
			}
		}
	}
	report.finish()
	return report, nil
}

// one runs the program once, and starts it once more on what it left behind.
func one(ctx context.Context, cfg Config, program, ordering string, latency time.Duration) (_ Result, err error) {
	dir, err := os.MkdirTemp("", "eventserver-bench-")
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	recv, err := newReceivers(ctx, cfg, latency)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, recv.listen.Close()) }()
	setup, err := newSetup(ctx, cfg, dir, program, ordering, recv.url())
	if err != nil {
		return Result{}, err
	}
	srv, err := setup.start(ctx, cfg.Profile)
	if err != nil {
		return Result{}, err
	}
	r := Result{Program: program, Ordering: ordering, Latency: latency, Ready: srv.ready}
	if err := errors.Join(r.measure(ctx, cfg, srv, recv), srv.stop()); err != nil {
		return r, err
	}
	again, err := setup.start(ctx, "")
	if err != nil {
		return r, err
	}
	r.Restart = again.ready
	return r, again.stop()
}

// measure posts, measures, and waits until everything has arrived.
func (r *Result) measure(ctx context.Context, cfg Config, srv *server, recv *receivers) error {
	load := newClients(cfg, srv.setup.addr, recv)
	posting, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	started := srv.usage()
	go func() { ended <- load.run(posting, math.MaxInt64) }()

	sleep(ctx, cfg.Warmup)
	recv.measuring.Store(true)
	began, first, accepted, used := time.Now(), recv.first.Load(), load.accepted.Load(), srv.usage()
	sleep(ctx, cfg.Duration)
	recv.measuring.Store(false)
	took := time.Since(began).Seconds()
	r.Deliveries = float64(recv.first.Load()-first) / took
	r.Events = float64(load.accepted.Load()-accepted) / took
	now := srv.usage()
	r.CPU, r.RSS = (now.cpu-used.cpu).Seconds()/took, now.rss
	stop()
	if err := <-ended; err != nil {
		return err
	}
	r.Refused = load.retried.Load()
	lat := recv.latencies()
	r.P50, r.P99 = percentile(lat, .50), percentile(lat, .99)
	deadline := time.Now().Add(cfg.Drain)
	for came, last := recv.first.Load(), time.Now(); ; {
		r.Verdict = recv.check.Verdict()
		if now := recv.first.Load(); now != came {
			came, last = now, time.Now()
		}
		if r.Drained = r.Verdict.Lost == 0; r.Drained || time.Now().After(deadline) || !sleep(ctx, 100*time.Millisecond) {
			r.Stuck = !r.Drained && time.Since(last) > min(cfg.Drain/2, 2*time.Second+2*r.Latency)
			break
		}
	}
	if n := load.accepted.Load(); n > 0 {
		r.EventCPU = (srv.usage().cpu - started.cpu) / time.Duration(n)
	}
	return ctx.Err()
}
