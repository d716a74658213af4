package destinationtest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"eventserver/destinations"
	"eventserver/destinations/destinationtest"
)

// model is the smallest destination that keeps the contract.
type model struct {
	stuck   chan<- struct{}
	failure error
	closed  atomic.Bool
}

func (*model) ID() string { return "model" }

func (*model) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

func (m *model) Deliver(ctx context.Context, _ destinations.Delivery) error {
	if m.stuck != nil {
		m.stuck <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	if m.closed.Load() {
		return errors.New("closed")
	}
	return m.failure
}

func (m *model) Close() error {
	m.closed.Store(true)
	return nil
}

func TestModel(t *testing.T) {
	destinationtest.Run(t, destinationtest.Harness{
		New:         func(*testing.T) destinations.Destination { return &model{} },
		PassThrough: true,
		Stuck: func(_ *testing.T, entered chan<- struct{}) destinations.Destination {
			return &model{stuck: entered}
		},
		Broken: map[string]func(*testing.T) destinations.Destination{
			"always": func(*testing.T) destinations.Destination { return &model{failure: errors.New("no")} },
		},
		Canaries: []string{"canary"},
	})
}

func TestVerdict(t *testing.T) {
	err := errors.New("x")
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "ok"},
		{fmt.Errorf("w: %w", destinations.ErrSkip), "skip"},
		{err, "retry"},
		{destinations.Permanent(err), "permanent"},
		{destinations.RetryAfter(err, time.Second), "retry after 1s"},
		{destinations.Unavailable(destinations.RetryAfter(err, time.Second)), "unavailable after 1s"},
	} {
		if got := destinationtest.Verdict(c.err); got != c.want {
			t.Errorf("Verdict(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}
