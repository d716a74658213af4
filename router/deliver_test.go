package router

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// Waiting for a slot aged a delivery: at a receiver that was only slow, a second
// failure was final. So did waiting for the rate.
func TestWaitingForItsTurnAgesNothing(t *testing.T) {
	for name, d := range map[string]Destination{"slot": {Concurrency: 1}, "rate": {Rate: attempt.RateLimit{PerSecond: 0.2, Burst: 1}}} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				failures := 0
				dest := newReceiver("d", func(d destinations.Delivery) error {
					if d.Key == "a" && failures < 2 {
						failures++
						return routertest.ErrPlain // a 500, twice
					}
					return nil
				})
				dest.takes = 5 * time.Second
				d.Destination = dest // with 10 attempts and 10 min
				r := newRig(t, d)
				r.deliver("d", "a", "a-0")
				for n := range 300 {
					r.deliver("d", fmt.Sprint("u", n), fmt.Sprint("u", n, "-0"))
				}
				routertest.Elapse(2 * time.Hour)
				for _, p := range r.poisoned("d") {
					t.Errorf("%s was given up after %d attempts of 10: %s", p.EventID, p.Attempts, p.Reason)
				}
				if dest.total() != 303 {
					t.Errorf("%d attempts", dest.total())
				}
			})
		})
	}
}

// Records that do not decode opened the breaker of a receiver that was never asked.
func TestUndecodableRecordsBlameNoReceiver(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error { return nil })
		r := newRig(t, Destination{Destination: dest})
		for i := range 50 {
			m := message.NewMessage(fmt.Sprint("foreign", i), []byte("x"))
			m.Metadata.Set(infra.MetaKey, fmt.Sprint("f", i))
			r.broker.subs[record.DeliverGroup("d")].Ch <- m
		}
		routertest.Elapse(time.Millisecond)
		if s, _ := r.pipeline.Status("d"); s.Breaker.Open || s.Failing != nil {
			t.Errorf("breaker %+v, failing %+v", s.Breaker, s.Failing)
		}
		if n := r.metric("eventserver_attempts_total", map[string]string{"class": "error"}); n != 0 {
			t.Errorf("%v failed attempts are counted", n)
		}
		if n := len(r.poisoned("d")); n != 50 || dest.total() != 0 {
			t.Errorf("%d poisoned, %d attempts", n, dest.total())
		}
	})
}

// countedError counts how often somebody makes its text.
type countedError struct{ texts int }

func (e *countedError) Error() string   { e.texts++; return "no" }
func (e *countedError) LogText() string { return e.Error() }

// A failed attempt went through the whole body for a line of the log that was off: 208 to
// 358 ms for 1 MiB. So does a batch for a text that nobody may ask for.
func TestNoTextIsMadeThatNobodyReads(t *testing.T) {
	for name, batch := range map[string]attempt.Batch{"single": {}, "batch": {MaxEvents: 2}} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				fault := &countedError{}
				dest := newBatchDest(func([]string) error { return fault })
				r := newRigOf(t, Config{Logger: slog.New(slog.DiscardHandler), Destinations: []Destination{{Destination: dest, Batch: batch, Retry: attempt.Retry{Initial: time.Hour, Max: time.Hour}}}})
				r.deliver("d", "a", "a0") // a line tells of the first failure
				r.deliver("d", "b", "b0")
				fault.texts = 0
				r.deliver("d", "c", "c0")
				r.deliver("d", "e", "e0")
				routertest.Elapse(time.Second)
				if len(dest.seen()) < 2 || fault.texts != 0 {
					t.Errorf("%d attempts, %d texts", len(dest.seen()), fault.texts)
				}
				if w := r.waitsFor("c"); w.Last != "no" || fault.texts == 0 {
					t.Errorf("who asks is told %+v", w)
				}
			})
		})
	}
}

// A receiver that stores slowly what it gave up holds no slot: that is free when its
// attempt has ended.
func TestThePoisonQueueTakesNoSlot(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(d destinations.Delivery) error {
			if d.Key == "bad" {
				return destinations.Permanent(errors.New("answer 400"))
			}
			return nil
		})
		r := newRig(t, Destination{Destination: dest, Concurrency: 1})
		r.broker.pub.fails = 3
		bad := r.deliver("d", "bad", "bad-0", "bad-1")
		good := r.deliver("d", "good", "good-0")
		routertest.WantVerdicts(t, good, "acked")
		routertest.WantVerdicts(t, bad, "")
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, bad, "acked")
		if dest.calls["bad-0"] != 1 || len(r.poisoned("d")) != 2 {
			t.Errorf("%d attempts, %d poisoned", dest.calls["bad-0"], len(r.poisoned("d")))
		}
	})
}
