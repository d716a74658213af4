package router

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// A batch that was told to come again in ten minutes waited in its place: with
// one attempt at a time nobody else was delivered for ten minutes. Its events
// wait for themselves, and no less than they were told.
func TestBackoffOfABatchHoldsNobodyElse(t *testing.T) {
	const wait = 10 * time.Minute
	routertest.Run(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		at := map[string][]time.Duration{}
		d := newBatchDest(func(ids []string) error {
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				at[id] = append(at[id], time.Since(began))
			}
			if slices.Equal(ids, []string{"k0-0", "k1-0"}) {
				return destinations.RetryAfter(routertest.ErrPlain, wait)
			}
			return nil
		})
		r := newRig(t, Destination{Destination: d, Concurrency: 1, Batch: attempt.Batch{MaxEvents: 2}})
		r.send(2, 1)
		routertest.Elapse(time.Second)
		behind := r.deliver("d", "k0", "k0-1")
		others := append(r.deliver("d", "x", "x-0"), r.deliver("d", "y", "y-0")...)
		routertest.Elapse(time.Second)
		routertest.WantVerdicts(t, others, "acked")
		routertest.WantVerdicts(t, behind, "")
		routertest.Elapse(wait / 2)
		routertest.WantVerdicts(t, behind, "")
		routertest.Elapse(wait)
		routertest.WantVerdicts(t, behind, "acked")
		mu.Lock()
		defer mu.Unlock()
		for _, id := range []string{"k0-0", "k1-0"} {
			if when := at[id]; len(when) != 2 || when[1]-when[0] < wait {
				t.Errorf("%s was attempted at %v, want twice, %v apart", id, when, wait)
			}
		}
		if first, next := at["k0-0"], at["k0-1"]; len(next) != 1 || next[0] < first[len(first)-1] {
			t.Errorf("k0-1 was attempted at %v, k0-0 at %v", next, first)
		}
	})
}

// attemptsDest notes which attempt each delivery is said to be.
type attemptsDest struct {
	*batchDest
	attempts sync.Map // event id to []int
}

func (d *attemptsDest) DeliverBatch(ctx context.Context, ds []destinations.Delivery) error {
	for _, one := range ds {
		before, _ := d.attempts.LoadOrStore(one.EventID, []int(nil))
		d.attempts.Store(one.EventID, append(before.([]int), one.Attempt))
	}
	return d.batchDest.DeliverBatch(ctx, ds)
}

// The first attempt of an event that found no company was said to be its
// second, because its group of one had come apart.
func TestAttemptNumberOfABatch(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := &attemptsDest{batchDest: newBatchDest(func(ids []string) error {
			if len(ids) > 1 {
				return routertest.ErrPlain
			}
			return nil
		})}
		r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 2}})
		routertest.WantVerdicts(t, r.deliver("d", "alone", "alone-0"), "")
		routertest.Elapse(time.Second)
		r.send(2, 1)
		routertest.Elapse(time.Minute)
		for id, want := range map[string]string{"alone-0": "[1]", "k0-0": "[1 2]", "k1-0": "[1 2]"} {
			if got, _ := d.attempts.Load(id); fmt.Sprint(got) != want {
				t.Errorf("attempts of %s: %v, want %s", id, got, want)
			}
		}
	})
}

// A record that cannot be decoded left its batch, and the same user's next event
// was delivered in it: before it was known what became of the first one.
func TestUndecodableIsNotOvertaken(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		var r *rig
		d := newBatchDest(func(ids []string) error {
			if slices.Contains(ids, "u-1") && len(r.poisoned("d")) == 0 {
				t.Error("u-1 came before anything had become of u-0")
			}
			return nil
		})
		r = newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 5, MaxWait: time.Second}})
		in := r.broker.subs[record.DeliverGroup("d")].Ch
		bad := routertest.Delivery("u", "u-0")
		bad.Metadata.Set("es_sequence", "no number")
		msgs := []*message.Message{bad, routertest.Delivery("u", "u-1"), routertest.Delivery("v", "v-0"), routertest.Delivery("u", "u-2"), routertest.Delivery("x", "x-0")}
		for _, m := range msgs {
			in <- m
		}
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "acked")
		if got := d.seen(); fmt.Sprint(got) != "[[v-0 x-0] [u-1] [u-2]]" {
			t.Errorf("delivered %v", got)
		}
		if got := r.poisoned("d"); len(got) != 1 || got[0].Reason != metrics.ReasonUndecodable {
			t.Errorf("poisoned %+v", got)
		}
	})
}
