package destinationtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eventserver/destinations"
)

// Soon is how long the suite waits for what has to happen soon. It is far
// longer than any kind needs: a test that fails for a slow machine teaches
// people to run it again.
const Soon = 20 * time.Second

// Harness makes the destinations that the suite tests. Only New is needed;
// each of the others adds tests. What New and Broken make is closed by the
// suite if it is an io.Closer.
type Harness struct {
	// New makes a destination whose receiver takes everything.
	New func(t *testing.T) destinations.Destination
	// PassThrough says that Transform keeps the event's data and content type.
	PassThrough bool
	// Stuck makes a destination whose receiver never answers. It sends on
	// entered when a Deliver has come as far as waiting for the receiver. It
	// closes the destination itself, in a Cleanup: Close may have to wait
	// until the receiver is let go.
	Stuck func(t *testing.T, entered chan<- struct{}) destinations.Destination
	// Broken makes destinations of which every Deliver fails, by name.
	Broken map[string]func(t *testing.T) destinations.Destination
	// Canaries are the secrets that those of New, Stuck and Broken were
	// configured with. No error may hold one of them.
	Canaries []string
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	t.Run("id", h.id)
	t.Run("transform", h.transform)
	t.Run("transform in parallel", h.transformParallel)
	t.Run("deliver", h.deliver)
	t.Run("deliver in parallel", h.deliverParallel)
	t.Run("ended context", h.endedContext)
	if h.Stuck != nil {
		t.Run("cancel", h.cancel)
		t.Run("deadline", h.deadline)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Broken)) {
		t.Run("broken "+name, func(t *testing.T) { h.broken(t, h.Broken[name]) })
	}
	t.Run("close", h.close)
}

var idRE = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

func (h Harness) make(t *testing.T) destinations.Destination {
	t.Helper()
	d := h.New(t)
	closeAfter(t, d)
	return d
}

func closeAfter(t *testing.T, d destinations.Destination) {
	if c, ok := d.(io.Closer); ok {
		t.Cleanup(func() { _ = c.Close() })
	}
}

func (h Harness) id(t *testing.T) {
	d := h.make(t)
	if first := d.ID(); !idRE.MatchString(first) {
		t.Errorf("ID %q does not match %s", first, idRE)
	} else if second := d.ID(); second != first {
		t.Errorf("ID was %q and then %q", first, second)
	}
}

// Events are events of every shape that the server accepts.
func Events() []destinations.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	event := func(id, contentType string, data []byte) destinations.Event {
		return destinations.Event{
			ID: id, Type: "order.placed", Source: "/shop", Key: "user-1", Time: at, ReceivedAt: at.Add(time.Second),
			Metadata: map[string]string{"x-request-id": "r-1", "tracestate": "foo=1, bar=2"}, ContentType: contentType, Data: data,
		}
	}
	bare := event("bare", "", nil)
	bare.Type, bare.Source, bare.Metadata = "", "", nil
	odd := event("odd.id:with/every %sort\tof\r\n\"char\" é \u202e", "application/json; charset=utf-8", []byte(`{"a":"ü"}`))
	odd.Type, odd.Key = "tüp\n", "käy\x00\n"
	return []destinations.Event{
		event("json", "application/json", []byte(`{"n": 9007199254740993, "s": "<&\u2028>"}`)),
		event("lines", "application/json", []byte("{\n  \"a\": [1,\r\n 2]\n}\n")),
		event("text", "text/plain", []byte("one\ntwo\r\nthree")),
		event("binary", "application/octet-stream", []byte{0, 1, 0xff, 0xfe, '\n', 0x80}),
		event("null", "application/json", []byte("null")),
		event("empty", "application/json", []byte{}),
		event("large", "application/json", []byte(`"`+strings.Repeat("x", 256<<10)+`"`)),
		bare, odd,
	}
}

func clone(e destinations.Event) destinations.Event {
	e.Metadata = maps.Clone(e.Metadata)
	e.Data = bytes.Clone(e.Data)
	return e
}

func clonePayload(p destinations.Payload) destinations.Payload {
	p.Headers = maps.Clone(p.Headers)
	p.Body = bytes.Clone(p.Body)
	return p
}

func (h Harness) transform(t *testing.T) {
	d := h.make(t)
	for _, e := range Events() {
		before := clone(e)
		p, err := d.Transform(t.Context(), e)
		if !reflect.DeepEqual(e, before) {
			t.Errorf("event %q: Transform changed it", before.ID)
		}
		first := clonePayload(p)
		again, err2 := d.Transform(t.Context(), clone(before))
		if (err == nil) != (err2 == nil) || err == nil && !reflect.DeepEqual(first, again) {
			t.Errorf("event %q: Transform gave two different payloads (%v, %v)", before.ID, err, err2)
		}
		if h.PassThrough && (err != nil || !bytes.Equal(p.Body, before.Data) || p.ContentType != before.ContentType) {
			t.Errorf("event %q: Transform did not pass it through: %q, %v", before.ID, p.ContentType, err)
		}
	}
}

func (h Harness) transformParallel(t *testing.T) {
	d, e := h.make(t), Events()[0]
	want, err := d.Transform(t.Context(), e)
	if err != nil {
		t.Skipf("does not want the event: %v", err)
	}
	parallel(16, func(int) {
		if got, err := d.Transform(t.Context(), e); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("another payload in parallel: %v", err)
		}
	})
}

// Delivery is what the router makes of e for d: the n-th of its key.
func Delivery(ctx context.Context, d destinations.Destination, e destinations.Event, n int) (destinations.Delivery, error) {
	p, err := d.Transform(ctx, e)
	return destinations.Delivery{
		ID: e.ID + ":" + d.ID(), EventID: e.ID, EventType: e.Type, Key: e.Key, Destination: d.ID(), Attempt: 1,
		Time: e.Time, ReceivedAt: e.ReceivedAt, Sequence: int64(n), Metadata: e.Metadata, Payload: p,
	}, err
}

func (h Harness) deliver(t *testing.T) {
	d := h.make(t)
	for i, e := range Events() {
		del, err := Delivery(t.Context(), d, e, i)
		if err != nil {
			continue // not wanted, or not possible: the poison queue's business
		}
		before := del
		before.Payload = clonePayload(del.Payload)
		if err := h.bounded(t.Context(), t, d, del); err != nil {
			t.Errorf("event %q: %v", e.ID, err)
		}
		if !reflect.DeepEqual(del, before) {
			t.Errorf("event %q: Deliver changed the delivery", e.ID)
		}
	}
}

func (h Harness) deliverParallel(t *testing.T) {
	d := h.make(t)
	ctx, cancel := context.WithTimeout(t.Context(), Soon)
	defer cancel()
	parallel(16, func(user int) {
		for n := range 8 {
			e := Events()[0]
			e.ID, e.Key = fmt.Sprintf("e-%d-%d", user, n), fmt.Sprintf("user-%d", user)
			del, err := Delivery(ctx, d, e, n)
			if err != nil {
				return
			}
			if err := d.Deliver(ctx, del); err != nil {
				t.Errorf("event %s: %v", e.ID, err)
			}
		}
	})
}

// bounded is Deliver that has to return, whatever its context.
func (h Harness) bounded(ctx context.Context, t *testing.T, d destinations.Destination, del destinations.Delivery) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- d.Deliver(ctx, del) }()
	select {
	case err := <-done:
		h.checkSecrets(t, err)
		return err
	case <-time.After(Soon):
		t.Fatalf("Deliver has not returned after %s", Soon)
		return nil
	}
}

func (h Harness) checkSecrets(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		for i, canary := range h.Canaries {
			if strings.Contains(text, canary) {
				t.Errorf("the error holds secret %d: %s", i, strings.ReplaceAll(text, canary, "[CANARY]"))
			}
		}
	}
}

func (h Harness) sample(t *testing.T, d destinations.Destination) destinations.Delivery {
	t.Helper()
	del, err := Delivery(t.Context(), d, Events()[0], 0)
	if err != nil {
		t.Skipf("does not want the event: %v", err)
	}
	return del
}

// A context that ended before Deliver began may still see it succeed, but not wait.
func (h Harness) endedContext(t *testing.T) {
	d := h.make(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = h.bounded(ctx, t, d, h.sample(t, d))
}

func (h Harness) cancel(t *testing.T) {
	entered := make(chan struct{}, 16)
	d := h.Stuck(t, entered)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	del := h.sample(t, d)
	go func() {
		select {
		case <-entered:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := h.bounded(ctx, t, d, del); err == nil {
		t.Error("Deliver said that a receiver that never answered has the event")
	}
}

func (h Harness) deadline(t *testing.T) {
	d := h.Stuck(t, make(chan struct{}, 16))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := h.bounded(ctx, t, d, h.sample(t, d)); err == nil {
		t.Error("Deliver said that a receiver that never answered has the event")
	}
}

func (h Harness) broken(t *testing.T, make func(*testing.T) destinations.Destination) {
	d := make(t)
	closeAfter(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), Soon/2)
	defer cancel()
	if err := h.bounded(ctx, t, d, h.sample(t, d)); err == nil {
		t.Error("Deliver did not fail")
	}
}

// Close may come twice, from several sides, with deliveries under way; and
// those return.
func (h Harness) close(t *testing.T) {
	unused, isCloser := h.New(t).(io.Closer)
	if !isCloser {
		t.Skip("no io.Closer")
	}
	if err := unused.Close(); err != nil {
		t.Errorf("Close before the first Deliver: %v", err)
	}
	d := h.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), Soon)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		parallel(12, func(i int) {
			if i%3 == 0 {
				if err := d.(io.Closer).Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				return
			}
			e := Events()[0]
			e.ID, e.Key = fmt.Sprintf("c-%d", i), fmt.Sprintf("user-%d", i)
			if del, err := Delivery(ctx, d, e, i); err == nil {
				h.checkSecrets(t, d.Deliver(ctx, del)) // either is right
			}
		})
	}()
	select {
	case <-done:
	case <-time.After(2 * Soon):
		t.Fatal("Close or Deliver has not returned")
	}
	if err := d.(io.Closer).Close(); err != nil {
		t.Errorf("Close once more: %v", err)
	}
	if err := h.bounded(t.Context(), t, d, h.sample(t, d)); err == nil {
		t.Error("Deliver after Close said that the receiver has the event")
	}
}

func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
