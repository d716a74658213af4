package router

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// storing is whether the broker stores records, whatever it answers to a ping: a
// disk may be full. The outcomes of publishes tell when it stops to, and a record
// of its own, which needs no client, when it stores again.
type storing struct {
	probe func() (topic string, m *message.Message) // nil: any record that is stored ends the state
	stops chan struct{}                             // has one when the state begins

	mu       sync.Mutex
	failures int // in a row, with no record stored between them
	since    time.Time
	err      error
	down     bool
}

// Failures until nothing can be stored, for a broker that has several disks or
// leaders, and the time between two probes.
const (
	storeFailures = 3
	probeInterval = time.Second
)

func newStoring(probe func() (string, *message.Message)) *storing {
	return &storing{probe: probe, stops: make(chan struct{}, 1)}
}

// errStoresNothing marks the error of a publish while the state lasts: the log
// has a line for the state, and none for each record.
type errStoresNothing struct{ error }

func (e errStoresNothing) Unwrap() error { return e.error }

// outcome takes note of a publish, and returns its error.
func (s *storing) outcome(err error) error {
	if errors.Is(err, infra.ErrTooLarge) || errors.Is(err, context.Canceled) || errors.As(err, new(*infra.PublishError)) {
		return err // it says nothing of other records, or some were stored
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if !s.down || s.probe == nil {
			s.failures, s.down = 0, false
		}
		return nil
	}
	if s.failures++; s.failures == 1 {
		s.since = time.Now()
	}
	s.err = err
	if s.failures < storeFailures {
		return err
	}
	if !s.down {
		s.down = true
		select {
		case s.stops <- struct{}{}:
		default:
		}
	}
	return errStoresNothing{err}
}

// silence is what is to be said of it; nil: it stores.
func (s *storing) silence() *silence {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.down {
		return nil
	}
	return &silence{since: s.since, err: s.err, answers: true}
}

// probed takes note of a probe.
func (s *storing) probed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = err
		return
	}
	s.failures, s.down = 0, false
}

// watched is a publisher whose outcomes are noted.
type watched struct {
	message.Publisher
	storing *storing
}

// Publish implements message.Publisher.
func (w watched) Publish(topic string, msgs ...*message.Message) error {
	return w.storing.outcome(w.Publisher.Publish(topic, msgs...))
}

// watchStoring says in the log when the broker stops to store records and when
// it goes on, and probes it in between.
func (p *Pipeline) watchStoring(ctx context.Context) {
	s := p.storing
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.stops:
		}
		p.askBroker(ctx) // a broker that is gone stores nothing either: that is the cause to tell, now and not at the next ping
		now := s.silence()
		if now == nil || ctx.Err() != nil {
			continue
		}
		if p.broker.Load() == nil {
			p.cfg.Logger.Error("the broker stores nothing: requests are answered 503 until it does; look at its disk", slog.Any("error", now.err))
		} else {
			p.cfg.Logger.Error("the broker stores nothing: requests are answered 503 until it does", slog.Any("error", now.err))
		}
		for s.silence() != nil {
			if !p.probeStoring(ctx) {
				return
			}
		}
		p.setBrokerUp()
		p.cfg.Logger.Info("the broker stores records again")
	}
}

// probeStoring waits, and stores a record where there is one for it. false: ctx
// has ended.
func (p *Pipeline) probeStoring(ctx context.Context) bool {
	wait := time.NewTimer(probeInterval)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wait.C:
	}
	if p.storing.probe == nil {
		return true
	}
	done := make(chan error, 1)
	go func() { // it knows no context; the broker's close waits for it
		topic, m := p.storing.probe()
		done <- p.cfg.Broker.Publisher(infra.Durable).Publish(topic, m)
	}()
	select {
	case <-ctx.Done():
		return false
	case err := <-done:
		p.storing.probed(err)
		return true
	}
}
