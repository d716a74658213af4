package handler

import (
	"context"
	"errors"
	"strings"
	"testing"

	"eventserver/destinations"
	"eventserver/destinations/destinationtest"
)

func nothing(context.Context, destinations.Delivery) error { return nil }

func open(t *testing.T, c Config) *Destination {
	t.Helper()
	d, err := New("h", c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConformance(t *testing.T) {
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T) destinations.Destination {
			return open(t, Config{Handlers: map[string]Func{"*": func(ctx context.Context, _ destinations.Delivery) error { return ctx.Err() }}})
		},
		PassThrough: true,
		Stuck: func(t *testing.T, entered chan<- struct{}) destinations.Destination {
			return open(t, Config{Handlers: map[string]Func{"*": func(ctx context.Context, _ destinations.Delivery) error {
				entered <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}}})
		},
		Broken: map[string]func(*testing.T) destinations.Destination{
			"no handler": func(t *testing.T) destinations.Destination {
				return open(t, Config{Handlers: map[string]Func{"a.type.that.never.comes": nothing}})
			},
		},
	})
}

func TestTheTypeDecides(t *testing.T) {
	var got []string
	note := func(name string) Func {
		return func(ctx context.Context, d destinations.Delivery) error {
			if in, ok := FromContext(ctx); !ok || in.ID != d.ID {
				t.Errorf("the context has delivery %q %v, want %q", in.ID, ok, d.ID)
			}
			got = append(got, name+" "+d.EventID)
			return nil
		}
	}
	d := open(t, Config{Handlers: map[string]Func{"a": note("a"), "*": note("rest")}})
	for _, del := range []destinations.Delivery{{ID: "1:h", EventID: "1", EventType: "a"}, {ID: "2:h", EventID: "2", EventType: "b"}, {ID: "3:h", EventID: "3"}} {
		if err := d.Deliver(t.Context(), del); err != nil {
			t.Error(err)
		}
	}
	if s := strings.Join(got, ", "); s != "a 1, rest 2, rest 3" {
		t.Error(s)
	}
}

// An event that nobody handles is given up with a reason, or skipped where the
// program says so; it never passes for delivered.
func TestWithoutAHandler(t *testing.T) {
	d := open(t, Config{Handlers: map[string]Func{"b": nothing, "a": nothing}})
	err := d.Deliver(t.Context(), destinations.Delivery{EventType: "order.paid"})
	if !errors.As(err, new(*destinations.PermanentError)) || !strings.Contains(err.Error(), `no handler for events of type "order.paid"; there are some for a, b`) {
		t.Error(err)
	}
	d = open(t, Config{Handlers: map[string]Func{"a": nothing}, SkipOthers: true})
	if _, err := d.Transform(t.Context(), destinations.Event{Type: "b"}); !errors.Is(err, destinations.ErrSkip) {
		t.Error(err)
	}
	if err := d.Deliver(t.Context(), destinations.Delivery{EventType: "b"}); !errors.Is(err, destinations.ErrSkip) {
		t.Error(err)
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []Config{{}, {Handlers: map[string]Func{"a": nil}}} {
		if _, err := New("h", c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}
