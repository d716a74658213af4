package attempt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/redact"
)

// OnExhausted says what happens to a key after one of its deliveries went to
// the poison queue.
type OnExhausted string

// Skip lets the later events of the key go on. It is the default, and the only
// policy so far.
const Skip OnExhausted = "skip"

// PoisonQueue moves what was given up to the poison queue, and only that. When the
// poison queue cannot be written that is tried again later, never the delivery, and
// the key waits meanwhile.
type PoisonQueue struct {
	Pub         message.Publisher
	Destination string
	Stage       string
	On          OnExhausted
	Metrics     *metrics.Destination
	Spans       *Spans
	Log         *slog.Logger
	Recent      *Recent

	mu   sync.Mutex
	said map[string]*saying // by reason
}

func (p *PoisonQueue) middleware(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		if g := attemptOf(msg.Context()).given(); g != nil {
			return nil, p.keep(msg.Context(), msg, g)
		}
		_, err := next(msg)
		if err == nil { // before the variable, which errors.As moves to the heap
			return nil, nil
		}
		var g *GiveUp
		if !errors.As(err, &g) {
			return nil, err
		}
		return nil, p.keep(msg.Context(), msg, g)
	}
}

// The pauses between two tries of the poison queue.
const (
	storeFirst = 200 * time.Millisecond
	storeMost  = 10 * time.Second
)

// keep moves msg to the poison queue. When that cannot be written, the error says when
// to try again.
func (p *PoisonQueue) keep(ctx context.Context, msg *message.Message, g *GiveUp) error {
	if g.record == nil { // once: its text is made of the whole payload
		g.record = g.PoisonRecord(msg, p.Stage)
	}
	err := p.store(ctx, g)
	for err != nil {
		less := p.Lighter(g.record, err)
		if less == nil {
			break
		}
		g.record = less
		err = p.store(ctx, g)
	}
	if err == nil {
		p.Kept(ctx, msg, g)
		return nil
	}
	g.wait = min(max(2*g.wait, storeFirst), storeMost)
	if before, ok := p.say(notStored); ok {
		p.Log.Error("poison queue cannot be written; trying again", slog.Any("error", err), slog.Int("unlogged_before", before))
	}
	return &again{until: time.Now().Add(g.wait), given: g, err: fmt.Errorf("given up (%s: %w), and the poison queue cannot be written: %w", g.Reason, g.Err, err)}
}

// Sends begins the span of a record's way to the poison queue, for a caller that stores it
// itself. ended ends it; nil: there is none.
func (p *PoisonQueue) Sends(ctx context.Context, g *GiveUp, rec *message.Message) (ended func(error)) {
	if p.Spans == nil {
		return nil
	}
	return p.Spans.poisons(ctx, g, p.Topic(), rec)
}

func (p *PoisonQueue) store(ctx context.Context, g *GiveUp) error {
	if p.Spans == nil {
		return p.Pub.Publish(p.Topic(), g.record)
	}
	ended := p.Spans.poisons(ctx, g, p.Topic(), g.record)
	err := p.Pub.Publish(p.Topic(), g.record)
	ended(err)
	return err
}

// Kept tells of msg, whose record is in the poison queue.
func (p *PoisonQueue) Kept(ctx context.Context, msg *message.Message, g *GiveUp) {
	p.Metrics.Poisoned(g.Reason)
	p.Recent.add(record.EventID(msg), msg.Metadata.Get(infra.MetaKey), metrics.Poisoned, g.attempts, time.Now())
	level := slog.LevelDebug
	before, first := p.say(g.Reason)
	if first {
		level = slog.LevelWarn
	}
	if p.Log.Enabled(ctx, level) {
		p.Log.Log(ctx, level, "moved to the poison queue",
			slog.String("event", record.EventID(msg)), slog.String("stage", p.Stage), slog.String("reason", g.Reason),
			slog.Int("attempts", g.attempts), slog.Int64("offset", infra.Offset(msg)), slog.String("detail", redact.Clean(redact.Masked(redact.Words(g.Err), msg.Payload, append(record.HeaderValues(msg.Metadata), msg.Metadata[infra.MetaKey])...))),
			slog.Int("unlogged_before", before))
	}
	switch p.On { // the seam for policies that hold the key
	case Skip:
	}
}

// quiet is how long the poison queue says nothing more of the same reason: one
// bad deployment can fail a day's events, and a log has a line for each change
// of state, not for each event. Metrics count them all.
const quiet = time.Minute

// No reasons of an event, which have lines of their own.
const (
	notStored    = ""               // the poison queue was not written
	partsLeftOut = "parts left out" // it has no room for the whole record
)

// say reports whether to log an event that was given up for reason, and how many
// were not logged before it.
func (p *PoisonQueue) say(reason string) (before int, ok bool) {
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

// Lighter is what is to be stored instead of rec, which the broker did not take; nil:
// rec, again.
func (p *PoisonQueue) Lighter(rec *message.Message, err error) *message.Message {
	if !errors.Is(err, infra.ErrTooLarge) {
		return nil
	}
	out := record.Lighter(rec)
	if out == nil {
		return nil
	}
	if before, ok := p.say(partsLeftOut); ok {
		left := record.DecodePoison(p.Destination, out)
		p.Log.Warn("a record is too large for the poison queue, which keeps it without some of its parts",
			slog.String("event", record.EventID(rec)), slog.String("stage", p.Stage), slog.String("left_out", strings.Join(left.LeftOut, ",")),
			slog.String("source", left.Source.String()), slog.Int("unlogged_before", before))
	}
	return out
}

// Topic is where it stores.
func (p *PoisonQueue) Topic() string { return record.PoisonTopic(p.Destination) }
