package attempt

import (
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
	"eventserver/metrics"
)

// Config is what the attempts of one destination are made with.
type Config struct {
	Destination destinations.Destination
	Batches     bool // dest is a destinations.Batcher, and is given batches
	Retry       Retry
	Timeout     time.Duration // of one attempt
	Scheduler   *Scheduler
	Health      *Health
	Recent      *Recent
	Poison      *PoisonQueue
	Spans       *Spans
	Metrics     *metrics.Destination
	Handler     message.HandlerMiddleware // counts what the handler of the stage is given
	Log         *slog.Logger
}

// Chain is the handler that makes one attempt, and the middlewares around it, the
// outermost first.
func (a Config) Chain() (message.NoPublishHandlerFunc, []message.HandlerMiddleware) {
	one := &deliverer{dest: a.Destination, metrics: a.Metrics, spans: a.Spans, log: a.Log, recent: a.Recent}
	if a.Batches {
		one.batcher = a.Destination.(destinations.Batcher)
	}
	many := &batcher{id: a.Destination.ID(), dest: one.batcher, scheduler: a.Scheduler, health: a.Health, retry: a.Retry, timeout: a.Timeout, metrics: a.Metrics, spans: a.Spans, recent: a.Recent}
	judge := &retry{Retry: a.Retry, scheduler: a.Scheduler, metrics: a.Metrics, health: a.Health}
	delivery, attempt := a.Spans.middlewares()
	return one.handle, slices.Concat(
		[]message.HandlerMiddleware{RoomyStack, a.Scheduler.verdict, a.Handler, many.middleware},
		delivery,
		[]message.HandlerMiddleware{a.Poison.middleware, judge.middleware, observe(a.Metrics)},
		attempt,
		[]message.HandlerMiddleware{attemptTimeout(a.Timeout), middleware.Recoverer},
	)
}
