package metrics

import (
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
)

// handlers times Watermill's handlers and publishers, in the series that Watermill's
// own package of metrics has. That one makes a map of labels for each message, which
// was some 4 % of the server's CPU, and has 84 series for each handler: here those of
// all destinations are one, named by their stage.
type handlers struct {
	handled   *prometheus.HistogramVec // handler_name, success
	published *prometheus.HistogramVec // handler_name, publisher_name, success
}

func newHandlers(histogram func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec) handlers {
	return handlers{
		handled: histogram("watermill_handler_execution_time_seconds", "Time of one message, run or batch in a handler.", seconds(), "handler_name", "success"),
		published: histogram("watermill_publish_time_seconds", "Time of one publish to the broker, successful or not.", seconds(),
			"handler_name", "publisher_name", "success"),
	}
}

// timer is a histogram of what succeeds and one of what fails.
type timer struct{ success, failure prometheus.Observer }

func (t timer) observe(since time.Time, err error) {
	to := t.success
	if err != nil {
		to = t.failure
	}
	to.Observe(time.Since(since).Seconds())
}

// Handler is a middleware that times the messages of a handler: "ingest", or the stage
// of a destination.
func (m *Metrics) Handler(name string) message.HandlerMiddleware {
	t := timer{m.handlers.handled.WithLabelValues(name, "true"), m.handlers.handled.WithLabelValues(name, "false")}
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			began := time.Now()
			out, err := next(msg)
			t.observe(began, err)
			return out, err
		}
	}
}

// Publisher times what pub publishes for a handler, as Handler names it.
func (m *Metrics) Publisher(handler string, pub message.Publisher) message.Publisher {
	name := strings.TrimLeft(fmt.Sprintf("%T", pub), "*")
	v := m.handlers.published
	return timed{pub, timer{v.WithLabelValues(handler, name, "true"), v.WithLabelValues(handler, name, "false")}}
}

// Stored times what one handler has its run store (infra.Run), as Publisher does.
func (m *Metrics) Stored(handler string) func(began time.Time, err error) {
	v := m.handlers.published
	const name = "infra.Run"
	return timer{v.WithLabelValues(handler, name, "true"), v.WithLabelValues(handler, name, "false")}.observe
}

type timed struct {
	message.Publisher
	timer timer
}

// Publish implements message.Publisher.
func (p timed) Publish(topic string, msgs ...*message.Message) error {
	began := time.Now()
	err := p.Publisher.Publish(topic, msgs...)
	p.timer.observe(began, err)
	return err
}
