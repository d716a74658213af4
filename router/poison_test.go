package router

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// With Watermill's PoisonQueue a limit of 3 became 413 calls in half a second
// while the poison queue could not be written.
func TestPoisonQueueThatCannotBeWritten(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		p := newPlan("d", destinations.Permanent(routertest.ErrPlain))
		r := newRig(t, Destination{Destination: p})
		r.broker.pub.fails = 7
		msgs := r.deliver("d", "u", "e1", "e2")
		routertest.Elapse(3 * time.Second)
		if len(p.asked()) != 1 {
			t.Errorf("%d attempts while the poison queue is down, want 1: the key waits", len(p.asked()))
		}
		routertest.WantVerdict(t, msgs[0], "")
		routertest.Elapse(time.Minute)
		if got := r.poisoned("d"); len(got) != 2 || len(p.asked()) != 2 {
			t.Errorf("poisoned %d after %d attempts, want 2 and 2", len(got), len(p.asked()))
		}
		routertest.WantVerdict(t, msgs[0], "acked")
	})
}

func TestShutdownWhileThePoisonQueueIsDown(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		p := newPlan("d", destinations.Permanent(routertest.ErrPlain))
		r := newRig(t, Destination{Destination: p})
		r.broker.pub.fails = -1
		m := r.deliver("d", "u", "e1")[0]
		if err := r.pipeline.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		routertest.WantVerdict(t, m, "nacked")
	})
}

// A record that event-server did not write is poisoned, and ends nothing.
func TestUndecodableRecordsArePoisoned(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		p := newPlan("d", nil)
		r := newRig(t, Destination{Destination: p})
		for _, group := range []string{record.TransformGroup("d"), record.DeliverGroup("d")} {
			for name, broken := range map[string]string{record.HeaderID: "", record.HeaderReceived: "yesterday", "ce_time": "noon"} {
				m := routertest.Delivery("u", "e1")
				m.Metadata[name] = broken
				r.broker.subs[group].Ch <- m
				synctest.Wait()
				routertest.WantVerdict(t, m, "acked")
			}
		}
		good := r.deliver("d", "u", "e2")[0]
		routertest.WantVerdict(t, good, "acked")
		got := r.poisoned("d")
		if len(got) != 6 || len(p.seen()) != 1 {
			t.Fatalf("%d poisoned, %d attempts, want 6 and 1", len(got), len(p.seen()))
		}
		for _, g := range got {
			if g.Reason != metrics.ReasonUndecodable || string(g.Body) != `{"id":"e1"}` {
				t.Errorf("%+v", g)
			}
		}
	})
}

func TestTransformStage(t *testing.T) {
	filter := filterFunc(func(e destinations.Event) (bool, error) {
		switch e.ID {
		case "unwanted":
			return false, nil
		case "filter fails":
			return false, routertest.ErrPlain
		}
		return true, nil
	})
	transform := transformFunc(func(e destinations.Event) ([]byte, error) {
		if e.ID == "transform fails" {
			return nil, routertest.ErrPlain
		}
		return []byte(`"made"`), nil
	})
	dest := &routertest.FuncDest{Name: "d", OnTransform: func(e destinations.Event) (destinations.Payload, error) {
		switch e.ID {
		case "panics":
			panic("a bug")
		case "kind fails":
			return destinations.Payload{}, routertest.ErrPlain
		case "kind skips":
			return destinations.Payload{}, destinations.ErrSkip
		}
		return destinations.Payload{ContentType: e.ContentType, Headers: map[string]string{"x": "1"}, Body: e.Data}, nil
	}}
	routertest.Run(t, func(t *testing.T) {
		r := newRig(t, Destination{Destination: dest, Types: []string{"t"}, Filter: filter, Transform: transform})
		send := func(id, typ string) {
			m := routertest.Record("u", id)
			m.Metadata[record.HeaderType] = typ
			r.broker.subs[record.TransformGroup("d")].Ch <- m
			synctest.Wait()
			routertest.WantVerdict(t, m, "acked")
		}
		for _, id := range []string{"unwanted", "filter fails", "transform fails", "panics", "kind fails", "kind skips"} {
			send(id, "t")
		}
		send("other type", "other")
		send("good", "t")
		out := r.broker.pub.of(record.DestinationTopic("d"))
		if len(out) != 1 {
			t.Fatalf("%d for the destination, want 1", len(out))
		}
		d, err := record.DecodeDelivery("d", out[0])
		if err != nil || d.EventID != "good" || string(d.Payload.Body) != `"made"` || d.Payload.ContentType != "application/json" || d.Payload.Headers["x"] != "1" {
			t.Errorf("%+v %v", d, err)
		}
		want := map[string]string{"filter fails": metrics.ReasonFilter, "transform fails": metrics.ReasonTransform, "panics": metrics.ReasonTransform, "kind fails": metrics.ReasonTransform}
		got := r.poisoned("d")
		if len(got) != len(want) {
			t.Errorf("%d poisoned, want %d", len(got), len(want))
		}
		for _, g := range got {
			if g.Reason != want[g.EventID] || g.Stage != "transform" || string(g.Body) != `{"id":"`+g.EventID+`"}` {
				t.Errorf("%+v, want reason %s and the event's own bytes", g, want[g.EventID])
			}
		}
		if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Skipped}); n != 3 {
			t.Errorf("skipped %v, want 3", n)
		}
	})
}

// What cannot be published is tried again in place; it is not poisoned.
func TestTransformWaitsForTheBroker(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r := newRig(t, Destination{Destination: newPlan("d", nil)})
		r.broker.pub.fails = 3
		m := routertest.Record("u", "e1")
		r.broker.subs[record.TransformGroup("d")].Ch <- m
		routertest.Elapse(time.Minute)
		routertest.WantVerdict(t, m, "acked")
		if n := len(r.broker.pub.of(record.DestinationTopic("d"))); n != 1 {
			t.Errorf("%d published, want 1", n)
		}
	})
}

func TestMatchTypes(t *testing.T) {
	for _, c := range []struct {
		patterns, typ string
		want          bool
	}{
		{"", "anything", true}, {"", "", true},
		{"order.placed", "order.placed", true}, {"order.placed", "order.placed.v2", false}, {"order.placed", "Order.placed", false},
		{"order.*", "order.placed", true}, {"order.*", "order.", true}, {"order.*", "order", false}, {"order.*", "orders.x", false},
		{"*", "", true}, {"*", "x", true},
		{"a b.*", "b.c", true}, {"a b.*", "c", false},
	} {
		if got := MatchTypes(strings.Fields(c.patterns), c.typ); got != c.want {
			t.Errorf("types [%s] and %q: %v", c.patterns, c.typ, got)
		}
	}
}

type filterFunc func(destinations.Event) (bool, error)

func (f filterFunc) Match(_ context.Context, e destinations.Event) (bool, error) { return f(e) }

type transformFunc func(destinations.Event) ([]byte, error)

func (f transformFunc) Apply(_ context.Context, e destinations.Event) ([]byte, error) { return f(e) }

func TestGiveUpUnwraps(t *testing.T) {
	if err := error(attempt.GiveUpNow(metrics.ReasonFilter, routertest.ErrPlain)); !errors.Is(err, routertest.ErrPlain) || !strings.Contains(err.Error(), "filter") {
		t.Error(err)
	}
}
