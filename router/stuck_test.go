package router

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// stuckRig has a destination "d" with an attempt of event e1 that takes no notice of its
// context until the test ends. Its message is settled by the receipt that it returns. No
// bubble: a Watermill router that closes waits for a mutex, and time stands still.
func stuckRig(t *testing.T, log io.Writer) (r *rig, settled <-chan bool) {
	t.Helper()
	began, released := make(chan struct{}), make(chan struct{})
	d := &routertest.FuncDest{Name: "d", OnDeliver: func(context.Context, destinations.Delivery) error {
		close(began)
		<-released
		return nil
	}}
	r = newRigOf(t, Config{Destinations: []Destination{{Destination: d}}, Logger: slog.New(slog.NewTextHandler(log, nil)), closeTimeout: time.Millisecond})
	r.closes = true
	t.Cleanup(func() { close(released) })
	msg, settled := receipted(t, routertest.Delivery("u", "e1"))
	r.broker.subs[record.DeliverGroup("d")].Ch <- msg
	<-began
	return r, settled
}

// receipted gives a message a receipt, which comes on the channel.
func receipted(t *testing.T, m *message.Message) (*message.Message, <-chan bool) {
	settled := make(chan bool, 1)
	m.SetContext(infra.WithReceipt(t.Context(), infra.ReceiptFunc(func(acked bool) { settled <- acked })))
	return m, settled
}

// One handler that took no notice of its context made a reload wait for ever.
func TestAStuckAttemptDoesNotHoldUpAReload(t *testing.T) {
	log := &lockedBuffer{}
	r, stuck := stuckRig(t, log)
	next := newPlan("d", nil)
	ended, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := r.pipeline.Replace(ended, Destination{Destination: next}); err != nil {
		t.Errorf("replaced: %v", err)
	}
	if <-stuck {
		t.Error("the event of the stuck attempt counts as done")
	}
	again, settled := receipted(t, routertest.Delivery("u", "e1"))
	r.broker.subs[record.DeliverGroup("d")].Ch <- again
	if !<-settled || len(next.asked()) != 1 {
		t.Error("the new one did not take the event")
	}
	for _, want := range []string{"destination=d", "1 under way, the longest for ", "event e1", "an attempt does not end with its context and is left behind"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
}

// Nor does it hold up a stop.
func TestAStuckAttemptDoesNotHoldUpAStop(t *testing.T) {
	r, stuck := stuckRig(t, io.Discard)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := r.pipeline.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "deliver.d") || !strings.Contains(err.Error(), "event e1") {
		t.Errorf("drained: %v", err)
	}
	if err := r.pipeline.Close(); err == nil || !strings.Contains(err.Error(), "deliver.d") || !strings.Contains(err.Error(), "event e1") {
		t.Errorf("closed: %v", err)
	}
	if <-stuck {
		t.Error("the event of the stuck attempt counts as done")
	}
}

// lockedBuffer is a log that several write.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
