package router

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
	"eventserver/metrics"
)

// Batch lets a destination take several deliveries in one attempt. Those of one
// key are in order in it, and a key has events in one attempt at a time.
type Batch struct {
	MaxEvents int           // deliveries of an attempt; 0: no batches; 1: batches of one
	MaxWait   time.Duration // for more to come after the first; default 5 ms
	MaxBytes  int           // of their bodies; default 1 MiB
}

// WithDefaults fills in what is zero.
func (b Batch) WithDefaults() Batch {
	if b.MaxWait <= 0 {
		b.MaxWait = 5 * time.Millisecond
	}
	if b.MaxBytes <= 0 {
		b.MaxBytes = 1 << 20
	}
	return b
}

func (b Batch) on() bool { return b.MaxEvents > 0 }

// batcher makes the attempts of groups. A single message passes it by, and so
// does everything of a destination that takes no batches.
type batcher struct {
	id      string // of the destination
	dest    destinations.Batcher
	gate    *gate
	retry   Retry
	timeout time.Duration // of one call
	metrics *metrics.Destination
	spans   *spans
	waits   *waits
	recent  *recent
}

func (b *batcher) middleware(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		if g := groupOf(msg); g != nil {
			return nil, b.attempt(msg.Context(), g)
		}
		return next(msg)
	}
}

// attempt makes one attempt of the group. When it fails, whose fault that was
// is not known: it spends no attempt of any of them, is one vote for the
// breaker, and each is tried next by itself.
func (b *batcher) attempt(ctx context.Context, g *group) error {
	deliveries := make([]destinations.Delivery, 0, len(g.members))
	var msgs []*message.Message // of the deliveries, for their spans
	bad := map[string]bool{}    // keys whose later events wait for a bad one
	for i, m := range g.members {
		d, err := DecodeDelivery(b.id, m.msg)
		if err != nil || bad[m.key] {
			g.members[i].apart = true // alone it goes to the poison queue
			bad[m.key] = true
			continue
		}
		deliveries = append(deliveries, d)
		if b.spans != nil {
			msgs = append(msgs, m.msg)
		}
	}
	if len(deliveries) < 2 { // there is nothing to share
		g.takeApart(apart{})
		return nil
	}
	p := &progress{group: g}
	defer b.waits.end(p)
	ctx = context.WithValue(ctx, progressKey{}, p)
	err := b.gate.attempt(ctx, deliveries[0].Key, len(deliveries), func() error {
		began := time.Now()
		if b.spans == nil {
			err := b.call(ctx, deliveries)
			b.metrics.Attempt(class(ctx, err), time.Since(began), deliveries[0].Metadata[traceparent])
			return err
		}
		call, ended := b.spans.batch(ctx, deliveries, msgs)
		err := b.call(call, deliveries)
		b.metrics.Attempt(class(ctx, err), time.Since(began), destinations.CallMetadata(call)[traceparent])
		ended(class(ctx, err), err)
		return err
	})
	switch {
	case err == nil:
		b.delivered(deliveries)
		return nil
	case ctx.Err() != nil || errors.Is(err, errDraining):
		return err
	}
	wait := askOf(err).backoff(b.retry.backoff(1))
	b.metrics.Retries.Add(float64(len(deliveries)))
	g.takeApart(apart{attempted: true, until: time.Now().Add(wait), err: withoutValues(err, deliveries)})
	return nil
}

// withoutValues is an error about several events without the values of any: it
// is told of each of them.
func withoutValues(err error, deliveries []destinations.Delivery) error {
	text := detail(err, nil)
	for i := range deliveries {
		d := &deliveries[i]
		text = masked(text, d.Payload.Body, parts(d.Metadata, d.Payload.Headers)...)
	}
	return errors.New(text)
}

// takeApart has every member handled alone.
func (g *group) takeApart(a apart) {
	for i := range g.members {
		g.members[i].apart, g.members[i].cause = true, a
	}
}

func (b *batcher) delivered(deliveries []destinations.Delivery) {
	b.metrics.FinishedMany(metrics.Delivered, len(deliveries))
	now := time.Now()
	for i := range deliveries {
		b.recent.add(deliveries[i].EventID, deliveries[i].Key, metrics.Delivered, deliveries[i].Attempt, now)
		if at := since(&deliveries[i], now); !at.IsZero() {
			b.metrics.Latency.Observe(now.Sub(at).Seconds(), deliveries[i].Metadata[traceparent])
		}
	}
}

func (b *batcher) call(ctx context.Context, deliveries []destinations.Delivery) (err error) {
	ctx, cancel := attemptContext(ctx, b.timeout)
	defer cancel()
	defer func() { // as Watermill's Recoverer does for an attempt of one
		if p := recover(); p != nil {
			err = middleware.RecoveredPanicError{V: p}
		}
	}()
	if err := b.dest.DeliverBatch(ctx, deliveries); err != nil {
		return &told{err, deliveries}
	}
	return nil
}
