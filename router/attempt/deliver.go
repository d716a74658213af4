package attempt

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/redact"
)

// attemptContext is that of one attempt: it ends after d, or with the grace of
// its message's claim.
func attemptContext(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(infra.Graced(ctx), d)
}

// attemptTimeout gives one attempt its own deadline. Watermill's Timeout leaves
// the message with a cancelled context for the next attempt.
func attemptTimeout(d time.Duration) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			ctx := msg.Context()
			attempt, cancel := attemptContext(ctx, d)
			defer cancel()
			msg.SetContext(attempt)
			defer msg.SetContext(ctx)
			return next(msg)
		}
	}
}

// observe counts and times an attempt.
func observe(m *metrics.Destination) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			ctx, began := msg.Context(), time.Now()
			out, err := next(msg)
			if err == nil || !errors.As(err, new(*GiveUp)) { // else it does not decode, and nobody was asked
				m.Attempt(class(ctx, err), time.Since(began), msg.Metadata[record.HeaderTraceparent])
			}
			return out, err
		}
	}
}

// since is when a delivery's way began: what was redriven was given up in
// between, and how long an operator took is no latency. Zero: it is not known. What a
// foreign record says is to come began now.
func since(d *destinations.Delivery, now time.Time) time.Time {
	at := d.ReceivedAt
	if !d.RedrivenAt.IsZero() {
		at = d.RedrivenAt
	}
	if at.After(now) {
		return now
	}
	return at
}

// deliverer is the innermost handler: one attempt.
type deliverer struct {
	dest    destinations.Destination
	batcher destinations.Batcher // nil: takes no batches; else one event comes as a batch of one
	metrics *metrics.Destination
	spans   *Spans
	log     *slog.Logger
	recent  *Recent
}

func (d *deliverer) handle(msg *message.Message) error {
	ctx := msg.Context()
	delivery, err := record.DecodeDelivery(d.dest.ID(), msg)
	if err != nil {
		return GiveUpNow(metrics.ReasonUndecodable, err)
	}
	delivery.Attempt = attemptOf(ctx).number()
	if d.spans != nil {
		delivery.Metadata = d.spans.sent(ctx, delivery.Metadata)
	}
	if d.batcher != nil {
		if d.spans != nil {
			ctx = destinations.WithCallMetadata(ctx, d.spans.sent(ctx, nil))
		}
		err = d.batcher.DeliverBatch(ctx, []destinations.Delivery{delivery})
	} else {
		err = d.dest.Deliver(ctx, delivery)
	}
	switch {
	case err == nil:
		now := time.Now()
		d.metrics.Finished(metrics.Delivered)
		d.recent.add(delivery.EventID, delivery.Key, metrics.Delivered, delivery.Attempt, now)
		if at := since(&delivery, now); !at.IsZero() {
			d.metrics.Latency.Observe(now.Sub(at).Seconds(), delivery.Metadata[record.Traceparent])
		}
		return nil
	case errors.Is(err, destinations.ErrSkip):
		d.metrics.Finished(metrics.Skipped)
		d.recent.add(delivery.EventID, delivery.Key, metrics.Skipped, delivery.Attempt, time.Now())
		return nil
	default:
		err = redact.New(err, attemptOf(ctx).Deliveries[0].Message) // msg ends with the attempt
		if d.log.Enabled(ctx, slog.LevelDebug) {
			d.log.Debug("attempt failed", slog.String("event", delivery.EventID),
				slog.Int("attempt", delivery.Attempt), slog.String("error", redact.Logged(err)))
		}
		return err
	}
}
