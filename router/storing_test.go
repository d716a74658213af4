package router

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// A broker whose disk was full answered every ping: the server was ready, nobody
// was told, and the log had two lines for each refused event. Now there is one
// for the state and one for its end, which needs no client.
func TestBrokerThatStoresNothing(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		var log bytes.Buffer
		m, err := metrics.New(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		pub := &fakePub{}
		b := &deafBroker{fakeBroker: &fakeBroker{pub: pub, subs: map[string]*routertest.ChanSub{}}}
		probe := func() (string, *message.Message) { return "probes", message.NewMessage("", nil) }
		logger := slog.New(slog.NewTextHandler(&log, nil))
		p := &Pipeline{storing: newStoring(probe), cfg: Config{Broker: b, Metrics: m, Logger: logger}}
		ctx, cancel := context.WithCancel(t.Context())
		go p.watchBroker(ctx)
		go p.watchStoring(ctx)
		full := func(is bool) {
			pub.mu.Lock()
			defer pub.mu.Unlock()
			if pub.fails = 0; is {
				pub.fails = -1
			}
		}
		watermill := newQuietLogger(logger)
		w := watched{pub, p.storing}
		post := func() {
			if err := w.Publish(record.EventsTopic, message.NewMessage("e", nil)); err != nil {
				watermill.Error("Handler returned error", fmt.Errorf("ingest: %w", err), nil)
			}
			routertest.Elapse(0)
		}
		want := func(up bool) {
			t.Helper()
			routertest.Elapse(2 * probeInterval)
			ready, gauge := p.Ready() == nil, testutil.ToFloat64(m.BrokerUp) == 1
			if ready != up || gauge != up || (p.silent() == nil) != up {
				t.Errorf("ready %v, broker_up 1 %v, told %v; want %v", ready, gauge, p.silent(), up)
			}
		}
		post()
		want(true)
		full(true)
		for range storeFailures - 1 {
			post()
			want(true) // it may be one partition
		}
		for range 1000 {
			post()
		}
		want(false)
		routertest.Elapse(time.Hour)
		want(false)
		s := p.silent()
		if text := (Silence{Since: s.since, Cause: s.err.Error(), Answers: s.answers}).words(time.Now()); !strings.Contains(text, "stored") || !strings.Contains(text, "broker says no") {
			t.Errorf("it says %q", text)
		}
		full(false)
		want(true) // without a client
		post()
		cancel()
		routertest.Elapse(0)
		const early = storeFailures - 1 // failures before the state
		if lines := strings.Count(log.String(), "\n"); lines != early+2 {
			t.Errorf("%d lines in the log, want %d and one for each change:\n%.2000s", lines, early, log.String())
		}
	})
}

// A broker that is gone fails publishes before the next ping is due. What is told
// is that it does not answer, and no full disk.
func TestGoneBrokerIsNoFullDisk(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		m, err := metrics.New(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		pub := &fakePub{}
		b := &deafBroker{fakeBroker: &fakeBroker{pub: pub, subs: map[string]*routertest.ChanSub{}}}
		p := &Pipeline{storing: newStoring(nil), cfg: Config{Broker: b, Metrics: m, Logger: slog.New(slog.DiscardHandler)}}
		ctx, cancel := context.WithCancel(t.Context())
		go p.watchBroker(ctx)
		go p.watchStoring(ctx)
		routertest.Elapse(time.Millisecond) // the first ping is answered
		b.deaf.Store(true)
		pub.mu.Lock()
		pub.fails = -1
		pub.mu.Unlock()
		for range storeFailures {
			if err := (watched{pub, p.storing}).Publish(record.EventsTopic, message.NewMessage("e", nil)); err == nil {
				t.Error("it was stored")
			}
		}
		routertest.Elapse(pingTimeout)
		if s := p.silent(); s == nil || s.answers || testutil.ToFloat64(m.BrokerUp) != 0 {
			t.Errorf("told: %+v, broker_up %v", s, testutil.ToFloat64(m.BrokerUp))
		}
		cancel()
		routertest.Elapse(0)
	})
}

// A failure that says nothing of other records is not the broker's state.
func TestFailuresOfSingleRecords(t *testing.T) {
	for name, err := range map[string]error{
		"too large":     fmt.Errorf("publish: %w", infra.ErrTooLarge),
		"some stored":   &infra.PublishError{Err: errors.New("the leader is away")},
		"the stop":      fmt.Errorf("publish: %w", context.Canceled),
		"one of many":   nil,
		"only failures": errors.New("no space"),
	} {
		s := newStoring(nil)
		for i := range 100 {
			got := err
			if err == nil && i%2 == 0 {
				got = errors.New("no space")
			}
			if out := s.outcome(got); !errors.Is(out, got) {
				t.Errorf("%s: %v became %v", name, got, out)
			}
		}
		if down := s.silence() != nil; down != (name == "only failures") {
			t.Errorf("%s: down %v", name, down)
		}
	}
}
