package attempt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"go.opentelemetry.io/otel/trace"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/redact"
)

// GiveUp is the only error that sends a message to the poison queue. Every
// other error nacks it, and it is tried again where it stands: a shutdown, a
// rebalance or a broker that does not answer poisons nothing.
type GiveUp struct {
	Reason      string // metrics.Reason...
	Err         error
	attempts    int
	first, last time.Time
	span        trace.SpanContext // of a transformation that gave up; else the context's
	record      *message.Message  // for the poison queue, once it was not taken
	wait        time.Duration     // since it was not taken last; of the deliver stage
}

func (g *GiveUp) Error() string { return fmt.Sprintf("given up (%s): %v", g.Reason, g.Err) }
func (g *GiveUp) Unwrap() error { return g.Err }

// PoisonRecord is the record of msg for the poison queue.
func (g *GiveUp) PoisonRecord(msg *message.Message, stage string) *message.Message {
	return record.EncodePoison(msg, record.GivenUp{
		Stage: stage, Reason: g.Reason, Detail: redact.Detail(g.Err, msg.Payload, record.HeaderValues(msg.Metadata)...),
		Attempts: g.attempts, First: g.first, Last: g.last,
	})
}

// GiveUpNow gives up what was not attempted.
func GiveUpNow(reason string, err error) *GiveUp {
	now := time.Now()
	return &GiveUp{Reason: reason, Err: err, first: now, last: now}
}

// class names the result of one attempt for metrics and decisions. ctx is the
// message's own context, not the attempt's.
func class(ctx context.Context, err error) string {
	if err == nil { // before the variables, which errors.As moves to the heap
		return metrics.ClassSuccess
	}
	var (
		permanent   *destinations.PermanentError
		unavailable *destinations.UnavailableError
		after       *destinations.RetryAfterError
		panicked    middleware.RecoveredPanicError
	)
	switch {
	case errors.Is(err, destinations.ErrSkip):
		return metrics.ClassSuccess
	case ctx.Err() != nil:
		return metrics.ClassCancelled
	case errors.As(err, &panicked):
		return metrics.ClassPanic
	case errors.As(err, &permanent):
		return metrics.ClassPermanent
	case errors.As(err, &unavailable):
		return metrics.ClassUnavailable
	case errors.As(err, &after):
		return metrics.ClassRetryAfter
	case errors.Is(err, context.DeadlineExceeded):
		return metrics.ClassTimeout
	default:
		return metrics.ClassError
	}
}
