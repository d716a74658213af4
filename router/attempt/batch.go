package attempt

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/redact"
	"eventserver/router/schedule"
)

// Batch lets a destination take several deliveries in one attempt.
type Batch = schedule.Batch

// batcher makes the attempts of batches. A single message passes it by, and so
// does everything of a destination that takes no batches.
type batcher struct {
	id        string // of the destination
	dest      destinations.Batcher
	scheduler *Scheduler
	health    *Health
	retry     Retry
	timeout   time.Duration // of one call
	metrics   *metrics.Destination
	spans     *Spans
	recent    *Recent
}

func (b *batcher) middleware(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		if a := attemptOf(msg.Context()); len(a.Deliveries) > 1 {
			return nil, b.attempt(msg.Context(), a)
		}
		return next(msg)
	}
}

// attempt makes one attempt of the batch. When it fails, whose fault that was
// is not known: it spends no attempt of any of them, is one vote for the
// breaker, and each is tried next by itself.
func (b *batcher) attempt(ctx context.Context, a *attempt) error {
	deliveries := make([]destinations.Delivery, 0, len(a.Deliveries))
	msgs := make([]*message.Message, 0, len(a.Deliveries)) // of the deliveries
	bad := ""                                              // key whose later events wait for a bad one
	for i, of := range a.Deliveries {
		d, err := record.DecodeDelivery(b.id, of.Message)
		if err != nil || bad != "" && bad == of.Key() {
			bad = of.Key()
			a.verdict(i, schedule.Verdict{Kind: schedule.Single}) // alone it goes to the poison queue
			continue
		}
		deliveries, msgs = append(deliveries, d), append(msgs, of.Message)
	}
	if len(deliveries) < 2 { // there is nothing to share
		b.scheduler.ended(a, schedule.Nothing, schedule.Asked{}, nil)
		a.apart(schedule.Verdict{Kind: schedule.Single})
		return nil
	}
	err := b.call(ctx, deliveries, msgs)
	if err == nil {
		b.health.succeeded()
		b.delivered(deliveries)
		return nil
	}
	asked := askedOf(err)
	b.scheduler.ended(a, b.health.outcome(class(ctx, err), err), asked, err)
	if ctx.Err() != nil {
		return err
	}
	b.metrics.Retries.Add(float64(len(deliveries)))
	wait := asked.Backoff(b.retry.backoff(1))
	a.apart(schedule.Verdict{Kind: schedule.Apart, Until: time.Now().Add(wait), Err: redact.NewBatch(err, msgs...)})
	return nil
}

// verdict says what becomes of one of a batch.
func (a *attempt) verdict(i int, v schedule.Verdict) {
	if a.verdicts == nil {
		a.verdicts = make([]schedule.Verdict, len(a.Deliveries))
	}
	a.verdicts[i] = v
}

// apart has all that have no other verdict attempted by themselves.
func (a *attempt) apart(v schedule.Verdict) {
	for i := range a.Deliveries {
		if a.verdicts == nil || a.verdicts[i].Kind == schedule.Gone {
			a.verdict(i, v)
		}
	}
}

// call makes the call, and counts and times it.
func (b *batcher) call(ctx context.Context, deliveries []destinations.Delivery, msgs []*message.Message) error {
	began := time.Now()
	if b.spans == nil {
		err := b.deliver(ctx, deliveries, msgs)
		b.metrics.Attempt(class(ctx, err), time.Since(began), deliveries[0].Metadata[record.Traceparent])
		return err
	}
	call, ended := b.spans.batch(ctx, deliveries, msgs)
	err := b.deliver(call, deliveries, msgs)
	b.metrics.Attempt(class(ctx, err), time.Since(began), destinations.CallMetadata(call)[record.Traceparent])
	ended(class(ctx, err), err)
	return err
}

func (b *batcher) delivered(deliveries []destinations.Delivery) {
	b.metrics.FinishedMany(metrics.Delivered, len(deliveries))
	now := time.Now()
	for i := range deliveries {
		b.recent.add(deliveries[i].EventID, deliveries[i].Key, metrics.Delivered, deliveries[i].Attempt, now)
		if at := since(&deliveries[i], now); !at.IsZero() {
			b.metrics.Latency.Observe(now.Sub(at).Seconds(), deliveries[i].Metadata[record.Traceparent])
		}
	}
}

func (b *batcher) deliver(ctx context.Context, deliveries []destinations.Delivery, msgs []*message.Message) (err error) {
	ctx, cancel := attemptContext(ctx, b.timeout)
	defer cancel()
	defer func() { // as Watermill's Recoverer does for an attempt of one
		if p := recover(); p != nil {
			err = middleware.RecoveredPanicError{V: p}
		}
	}()
	if err := b.dest.DeliverBatch(ctx, deliveries); err != nil {
		return redact.New(err, msgs...)
	}
	return nil
}
