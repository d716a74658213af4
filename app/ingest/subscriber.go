package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	chi4 "github.com/go-chi/chi" // the version that watermill-http's configuration asks for
)

// registered is the router that the subscriber registers its paths with. It keeps
// their handlers: a request has been routed when it comes to the subscriber.
type registered struct {
	chi4.Router // nil: the subscriber calls nothing but Post

	paths map[string]http.HandlerFunc
}

// Post implements chi4.Router.
func (r registered) Post(path string, h http.HandlerFunc) { r.paths[path] = h }

// closeOnce lets two handlers share the subscriber: each closes it when it
// stops, and watermill-http's Close neither locks nor bears a second call at
// the same time (it would close its channels twice).
type closeOnce struct {
	message.Subscriber
	once sync.Once
	err  error
}

// Subscribe implements message.Subscriber. The subscription ends with ctx, as
// Watermill's router relies on: while it closes it sometimes cancels ctx without
// closing the subscriber, and waited half a minute for one that took no notice.
func (c *closeOnce) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	out, err := c.Subscriber.Subscribe(ctx, topic)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = c.Close() })
	}
	return out, err
}

// Close implements message.Subscriber.
func (c *closeOnce) Close() error {
	c.once.Do(func() { c.err = c.Subscriber.Close() })
	return c.err
}

// subscriberLogger is Watermill's. Its subscriber traces each request three
// times: what nobody reads is dropped before it is made.
func subscriberLogger(log *slog.Logger) watermill.LoggerAdapter {
	l := watermill.NewSlogLogger(log)
	if log.Enabled(context.Background(), watermill.LevelTrace) {
		return l
	}
	return untraced{l}
}

type untraced struct{ watermill.LoggerAdapter }

// Trace implements watermill.LoggerAdapter.
func (untraced) Trace(string, watermill.LogFields) {}

// With implements watermill.LoggerAdapter.
func (l untraced) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return untraced{l.LoggerAdapter.With(fields)}
}
