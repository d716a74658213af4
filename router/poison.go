package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
)

// OnExhausted says what happens to a key after one of its deliveries went to
// the poison queue.
type OnExhausted string

// Skip lets the later events of the key go on. It is the default, and the only
// policy so far.
const Skip OnExhausted = "skip"

// poisonQueue is the outermost middleware. It moves what was given up to the
// poison queue, and only that. When the poison queue cannot be written it tries
// that again, never the delivery, and holds the key meanwhile.
type poisonQueue struct {
	pub         message.Publisher
	destination string
	stage       string
	on          OnExhausted
	metrics     *metrics.Destination
	spans       *spans
	draining    <-chan struct{}
	log         *slog.Logger
	waits       *waits
	recent      *recent

	mu   sync.Mutex
	said map[string]*saying // by reason
}

func (p *poisonQueue) middleware(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := next(msg)
		if err == nil {
			return out, nil
		}
		var g *giveUp
		if !errors.As(err, &g) {
			return out, err
		}
		return nil, p.keep(msg.Context(), msg, g)
	}
}

// keep moves msg to the poison queue. It returns an error only when ctx ended
// or the pipeline drains.
func (p *poisonQueue) keep(ctx context.Context, msg *message.Message, g *giveUp) error {
	if err := p.store(ctx, msg, g); err != nil {
		return err
	}
	p.kept(ctx, msg, g)
	return nil
}

// kept tells of msg, whose record is in the poison queue.
func (p *poisonQueue) kept(ctx context.Context, msg *message.Message, g *giveUp) {
	p.metrics.Poisoned(g.reason)
	p.recent.add(msg.Metadata.Get(hID), msg.Metadata.Get(infra.MetaKey), metrics.Poisoned, g.attempts, time.Now())
	level := slog.LevelDebug
	before, first := p.say(g.reason)
	if first {
		level = slog.LevelWarn
	}
	if p.log.Enabled(ctx, level) {
		p.log.Log(ctx, level, "moved to the poison queue",
			slog.String("event", msg.Metadata.Get(hID)), slog.String("stage", p.stage), slog.String("reason", g.reason),
			slog.Int("attempts", g.attempts), slog.Int64("offset", infra.Offset(msg)), slog.String("detail", clean(masked(words(g.err), msg.Payload, append(headersOf(msg.Metadata), msg.Metadata[infra.MetaKey])...))),
			slog.Int("unlogged_before", before))
	}
	switch p.on { // the seam for policies that hold the key
	case Skip:
	}
}

// quiet is how long the poison queue says nothing more of the same reason: one
// bad deployment can fail a day's events, and a log has a line for each change
// of state, not for each event. Metrics count them all.
const quiet = time.Minute

// say reports whether to log an event that was given up for reason, and how many
// were not logged before it.
func (p *poisonQueue) say(reason string) (before int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.said == nil {
		p.said = map[string]*saying{}
	}
	s := p.said[reason]
	if s == nil {
		s = &saying{}
		p.said[reason] = s
	}
	if now := time.Now(); s.at.IsZero() || now.Sub(s.at) >= quiet {
		before, s.at, s.unsaid = s.unsaid, now, 0
		return before, true
	}
	s.unsaid++
	return 0, false
}

type saying struct {
	at     time.Time // of the last line
	unsaid int       // since
}

func (p *poisonQueue) topic() string { return PoisonTopic(p.destination) }

// record is what the poison queue has of msg. ended ends the span of its way there.
func (p *poisonQueue) record(ctx context.Context, msg *message.Message, g *giveUp) (rec *message.Message, ended func(error)) {
	rec = encodePoison(msg, p.stage, g)
	if p.spans == nil {
		return rec, func(error) {}
	}
	return rec, p.spans.poisons(ctx, g, p.topic(), rec)
}

func (p *poisonQueue) store(ctx context.Context, msg *message.Message, g *giveUp) (err error) {
	const first, most = 200 * time.Millisecond, 10 * time.Second
	wait := first
	record, ended := p.record(ctx, msg, g)
	defer func() { ended(err) }()
	waiting := &progress{msg: msg, tries: g.attempts}
	defer func() { p.waits.end(waiting) }()
	for {
		err := p.pub.Publish(p.topic(), record)
		if err == nil {
			return nil
		}
		if less := p.lighter(record, err); less != nil {
			record = less
			continue
		}
		p.log.Error("poison queue cannot be written; trying again", slog.Any("error", err), slog.Duration("wait", wait))
		waiting.err = fmt.Errorf("given up (%s: %w), and the poison queue cannot be written: %w", g.reason, g.err, err)
		p.waits.begin(waiting, metrics.WaitBroker, time.Now().Add(wait))
		if stop := pause(ctx, p.draining, wait); stop != nil {
			return errors.Join(stop, err)
		}
		wait = min(2*wait, most)
	}
}
