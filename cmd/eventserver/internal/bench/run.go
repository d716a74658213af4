package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"eventserver/cmd/eventserver/internal/checker"
)

// Result is one run.
type Result struct {
	Name       string          `json:"name"`
	Program    string          `json:"program"` // its path; of the program by hand what starts it
	Ordering   string          `json:"ordering"`
	Latency    time.Duration   `json:"receiver_latency_ns"`
	Pair       int             `json:"pair"`
	Deliveries float64         `json:"deliveries_per_second"` // first deliveries, of all destinations
	Events     float64         `json:"accepted_per_second"`
	P50        time.Duration   `json:"p50_ns"` // from due to arrival
	P99        time.Duration   `json:"p99_ns"`
	IngestP99  time.Duration   `json:"ingest_p99_ns"` // from due to the 202
	CPU        float64         `json:"server_cores"`
	EventCPU   time.Duration   `json:"server_cpu_per_event_ns"` // of the whole run: accepted, stored, delivered everywhere
	PeakRSS    int64           `json:"server_peak_rss_bytes"`   // the most of the whole run
	Goroutines int64           `json:"goroutines"`              // when the posting ends; 0: the program does not tell
	Ready      time.Duration   `json:"ready_ns"`                // from the start of the program until /readyz is 200
	Restart    time.Duration   `json:"restart_ns"`              // the same, on what the run left behind
	Refused    int64           `json:"refused_requests"`
	Failed     int64           `json:"failed_attempts"` // that a receiver answered with an error
	Drained    bool            `json:"drained"`         // everything arrived
	Stuck      bool            `json:"stuck"`           // it did not, and nothing more came: what is missing is lost
	Verdict    checker.Verdict `json:"verdict"`
}

// Run runs every combination, in turn, and prints a table.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Profile != "" {
		if err := os.MkdirAll(cfg.Profile, 0o700); err != nil {
			return nil, fmt.Errorf("bench: profile: %w", err)
		}
	}
	if cfg.Undelivered > 0 {
		return measureStarts(ctx, cfg)
	}
	report := newReport(cfg)
	for pair := 1; pair <= cfg.Pairs; pair++ {
		for _, latency := range cfg.Latencies {
			for _, subject := range cfg.subjects() {
				r, err := one(ctx, cfg.of(subject), subject, latency)
				r.Name, r.Pair = subject.name(cfg.Program), pair
				if err != nil {
					return report, fmt.Errorf("%s, latency %v: %w", r.Name, latency, err)
				}
				report.add(r)
			}
		}
	}
	report.finish()
	return report, nil
}

// one runs the program once, and starts it once more on what it left behind.
func one(ctx context.Context, cfg Config, what subject, latency time.Duration) (_ Result, err error) {
	dir, err := os.MkdirTemp("", "eventserver-bench-")
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	recv, err := newReceivers(ctx, cfg, latency)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, recv.close()) }()
	setup, err := newSetup(ctx, cfg, dir, what, recv.targets())
	if err != nil {
		return Result{}, err
	}
	srv, err := setup.start(ctx, cfg.Profile)
	if err != nil {
		return Result{}, err
	}
	r := Result{Program: what.program, Ordering: what.ordering, Latency: latency, Ready: srv.ready}
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
	if cfg.Fill > 0 {
		if err := load.fill(posting, int64(cfg.Fill)); err != nil {
			return err
		}
	}
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
	r.CPU = (now.cpu - used.cpu).Seconds() / took
	stop()
	if err := <-ended; err != nil {
		return err
	}
	r.Goroutines = srv.setup.goroutines(ctx)
	r.Refused, r.IngestP99 = load.retried.Load(), percentile(load.answered(), .99)
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
	now = srv.usage()
	r.PeakRSS, r.Failed = now.peak, recv.failed.Load()
	if n := load.accepted.Load(); n > 0 {
		r.EventCPU = (now.cpu - started.cpu) / time.Duration(n)
	}
	return ctx.Err()
}
