package router

import (
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
	"eventserver/metrics"
)

// attempts is what the attempts of one destination are made with.
type attempts struct {
	dest      destinations.Destination
	batches   bool // dest is a destinations.Batcher, and is given batches
	retry     Retry
	timeout   time.Duration // of one attempt
	scheduler *scheduler
	health    *health
	recent    *recent
	poison    *poisonQueue
	spans     *spans
	metrics   *metrics.Destination
	handler   message.HandlerMiddleware // counts what the handler of the stage is given
	log       *slog.Logger
}

// chain is the handler that makes one attempt, and the middlewares around it, the
// outermost first.
func (a attempts) chain() (message.NoPublishHandlerFunc, []message.HandlerMiddleware) {
	one := &deliverer{dest: a.dest, metrics: a.metrics, spans: a.spans, log: a.log, recent: a.recent}
	if a.batches {
		one.batcher = a.dest.(destinations.Batcher)
	}
	many := &batcher{id: a.dest.ID(), dest: one.batcher, scheduler: a.scheduler, health: a.health, retry: a.retry, timeout: a.timeout, metrics: a.metrics, spans: a.spans, recent: a.recent}
	judge := &retry{Retry: a.retry, scheduler: a.scheduler, metrics: a.metrics, health: a.health}
	delivery, attempt := a.spans.middlewares()
	return one.handle, slices.Concat(
		[]message.HandlerMiddleware{roomyStack, a.scheduler.verdict, a.handler, many.middleware},
		delivery,
		[]message.HandlerMiddleware{a.poison.middleware, judge.middleware, observe(a.metrics)},
		attempt,
		[]message.HandlerMiddleware{attemptTimeout(a.timeout), middleware.Recoverer},
	)
}
