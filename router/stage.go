package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/attempt"
	"eventserver/router/schedule"
)

// source is a subscriber as the pipeline holds it. It joins its group before a
// router runs: one whose handler cannot subscribe leaves goroutines behind.
type source struct {
	infra.Subscriber
	scheduler *attempt.Scheduler // of the deliver stage
	topic     string
	joined    <-chan *message.Message
	leave     context.CancelFunc
}

// schedule has a message come when an attempt of it may start.
func (s *source) schedule(d *Destination, returns bool, closeTimeout time.Duration, log *slog.Logger) {
	s.scheduler = attempt.NewScheduler(s.Subscriber, d.schedule(), returns, closeTimeout, log)
	s.Subscriber = s.scheduler
}

func (d *Destination) schedule() schedule.Config {
	return schedule.Config{Concurrency: d.Concurrency, Rate: d.Rate, Breaker: d.Breaker, Batch: d.Batch, FloodGuard: d.FloodGuard}
}

func (s *source) join(ctx context.Context) (err error) {
	ctx, s.leave = context.WithCancel(ctx)
	if s.joined, err = s.Subscriber.Subscribe(ctx, s.topic); err != nil {
		s.leave()
		return fmt.Errorf("subscribe to %s: %w", s.topic, err)
	}
	return nil
}

// Subscribe implements message.Subscriber for the router. It has joined.
func (s *source) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	context.AfterFunc(ctx, s.leave)
	return s.joined, nil
}

// stage is one half of a destination: a Watermill router with one handler, and
// the subscriber it reads from. It runs once; to go on, another is made.
type stage struct {
	name   string // "deliver.x"
	kind   string // stageTransform or stageDeliver
	router *message.Router
	source *source
	waits  runWaits // of the transform stage

	draining chan struct{}
	drainOne sync.Once

	started   bool        // Run was called; Pipeline.mu guards it
	beginning atomic.Bool // it was added, and launch waits for it
	stopping  atomic.Bool // somebody stopped it: that it ends is no failure
	ended     chan struct{}
	err       error // of its router; read after ended

	closeOne sync.Once
	closeErr error
}

// newStage joins nothing yet: a subscriber does when its router runs.
func (p *Pipeline) newStage(kind, id, group, topic string, read infra.SubscriberConfig) (*stage, error) {
	router, err := p.newRouter()
	if err != nil {
		return nil, err
	}
	s := &stage{name: kind + "." + id, kind: kind, router: router, draining: make(chan struct{}), ended: make(chan struct{})}
	sub, err := p.cfg.Broker.Subscriber(group, read)
	if err != nil {
		return nil, fmt.Errorf("subscribe group %s: %w", group, err)
	}
	s.source = &source{Subscriber: sub, topic: topic}
	return s, nil
}

// run joins the group and handles what comes, until it is closed or ctx ends.
func (s *stage) run(ctx context.Context) error {
	if err := s.source.join(ctx); err != nil {
		return err
	}
	return s.router.Run(ctx)
}

func (s *stage) assigned() bool { return s.source.Assigned() }

// refuse has what waits give up waiting: it goes back to the broker.
func (s *stage) refuse() { s.drainOne.Do(func() { close(s.draining) }) }

// drain stops reading and returns when no handler holds a message, or when ctx
// ends.
func (s *stage) drain(ctx context.Context) error {
	s.refuse()
	if err := s.source.Drain(ctx); err != nil {
		return fmt.Errorf("drain %s: %w", s.name, err)
	}
	return nil
}

// close cancels what is left and leaves the group. The pipeline's lock is taken
// for a moment.
func (s *stage) close(p *Pipeline) error {
	s.closeOne.Do(func() {
		s.refuse()
		s.stopping.Store(true)
		p.mu.Lock()
		started := s.started
		s.started = true // it will not
		p.mu.Unlock()
		var err error
		if started {
			err = s.closeRouter()
		}
		s.closeErr = errors.Join(err, s.source.Close())
	})
	return s.closeErr
}

// closeRouter waits for a router that is just starting: Close would wait its
// whole CloseTimeout for a handler that never began.
func (s *stage) closeRouter() error {
	select {
	case <-s.router.Running():
		if err := s.router.Close(); err != nil {
			return fmt.Errorf("close %s: %w", s.name, err)
		}
		return nil
	case <-s.ended:
		return nil // its start failed
	}
}
