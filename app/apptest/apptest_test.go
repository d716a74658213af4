package apptest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"eventserver/app"
	"eventserver/app/apptest"
	"eventserver/destinations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a destination that remembers what came.
type memory struct {
	id     string
	refuse func(d destinations.Delivery) error

	mu  sync.Mutex
	got []string
}

func (m *memory) ID() string { return m.id }
func (m *memory) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}
func (m *memory) Deliver(_ context.Context, d destinations.Delivery) error {
	if m.refuse != nil {
		if err := m.refuse(d); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, d.EventID)
	return nil
}

func (m *memory) ids() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(slices.Values(m.got))
}

// What a filter or the types leave out, what fails at first and what is given up counts
// as done; what is still tried does not.
func TestWaitDelivered(t *testing.T) {
	tries := 0
	m := &memory{id: "m"}
	m.refuse = func(d destinations.Delivery) error {
		switch {
		case d.EventID == "e3":
			return destinations.Permanent(errors.New("no"))
		case d.EventID == "e4" && tries < 3:
			tries++
			return errors.New("not yet")
		}
		return nil
	}
	kind := app.NewKind("test", func(string, struct{}) (destinations.Destination, error) { return m, nil })
	s := apptest.Start(t, `destinations: [{id: m, kind: test, types: ["order.*"], filter: "event.data.n != 2", retry: {initial: 1ms, max: 1ms}}]`,
		app.Options{Kinds: []app.Kind{kind}})
	s.WaitDelivered()
	for n := range 5 {
		s.Post(fmt.Sprintf(`{"id": "e%d", "type": "order.placed", "key": "u", "n": %d}`, n, n))
	}
	s.Post(`[{"id": "other", "type": "user.signed_up", "key": "u"}]`)
	s.WaitDelivered()
	if got := m.ids(); !slices.Equal(got, []string{"e0", "e1", "e4"}) {
		t.Errorf("delivered: %v", got)
	}
}

func TestWaitDeliveredEndsWithItsContext(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	m := &memory{id: "m", refuse: func(destinations.Delivery) error { close(begun); <-end; return nil }}
	kind := app.NewKind("test", func(string, struct{}) (destinations.Destination, error) { return m, nil })
	s := apptest.Start(t, "destinations: [{id: m, kind: test}]", app.Options{Kinds: []app.Kind{kind}})
	s.Post(`{"type": "t"}`)
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.App.WaitDelivered(ctx); !errors.Is(err, context.DeadlineExceeded) || err.Error() == context.DeadlineExceeded.Error() {
		t.Errorf("got %v", err)
	}
	close(end)
	s.WaitDelivered()
}
