package attempt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/routertest"
	"eventserver/router/schedule"
)

// schedulerOf is a scheduler in a bubble over a channel, without a router.
func schedulerOf(t *testing.T, sub infra.Subscriber, d schedule.Config) (*Scheduler, <-chan *message.Message) {
	t.Helper()
	s := NewScheduler(sub, withDefaults(d), false, CloseTimeout, routertest.Discard)
	out, err := s.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	return s, out
}

func withDefaults(c schedule.Config) schedule.Config {
	if c.Concurrency == 0 {
		c.Concurrency = 64
	}
	c.Batch, c.Breaker = c.Batch.WithDefaults(), c.Breaker.WithDefaults()
	return c
}

// next waits until everything is at rest and takes what is handed out, or nil.
func next(out <-chan *message.Message) *message.Message {
	synctest.Wait()
	select {
	case m := <-out:
		return m
	default:
		return nil
	}
}

func wantNext(tb testing.TB, out <-chan *message.Message, id string) *message.Message {
	tb.Helper()
	m := next(out)
	if m == nil {
		if id != "" {
			tb.Fatalf("nothing handed out, want %s", id)
		}
		return nil
	}
	if m.UUID != id {
		tb.Fatalf("handed out %s, want %q", m.UUID, id)
	}
	return m
}

// says ends an attempt as its handler would.
func (s *Scheduler) says(m *message.Message, err error) {
	_, _ = s.verdict(func(*message.Message) ([]*message.Message, error) { return nil, err })(m)
	synctest.Wait()
}

// handled begins an attempt, and returns what ends it.
func (s *Scheduler) handled(m *message.Message) (end func(error)) {
	verdict := make(chan error)
	go func() {
		_, _ = s.verdict(func(*message.Message) ([]*message.Message, error) { return nil, <-verdict })(m)
	}()
	synctest.Wait()
	return func(err error) {
		verdict <- err
		synctest.Wait()
	}
}

func TestOneOfAKeyAtATime(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{})
		a1, a2, b1, b2 := routertest.Record("a", "a1"), routertest.Record("a", "a2"), routertest.Record("b", "b1"), routertest.Record("b", "b2")
		for _, m := range []*message.Message{a1, a2, b1} {
			sub.Ch <- m
		}
		first, second := wantNext(t, out, "a1"), wantNext(t, out, "b1")
		wantNext(t, out, "")
		// While a is stuck, b goes on.
		s.says(second, nil)
		sub.Ch <- b2
		s.says(wantNext(t, out, "b2"), nil)
		routertest.WantVerdict(t, b1, "acked")
		routertest.WantVerdict(t, b2, "acked")
		routertest.WantVerdict(t, a1, "")
		s.says(first, nil)
		s.says(wantNext(t, out, "a2"), nil)
		routertest.WantVerdict(t, a1, "acked")
		routertest.WantVerdict(t, a2, "acked")
		if now := s.State(); now.Held != 0 || len(now.Blocked) != 0 {
			t.Errorf("state at rest: %+v", now)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if _, open := <-out; open {
			t.Error("Close leaves the channel open")
		}
	})
}

// An error that is no verdict, as after a panic in a middleware, does not spin and does
// not move the key.
func TestAnUnknownErrorIsTriedAgainInPlace(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{})
		var told []string
		send := func(id string) *message.Message {
			m := routertest.Within(infra.WithReceipt(t.Context(), infra.ReceiptFunc(func(acked bool) { told = append(told, fmt.Sprint(id, " ", acked)) })), routertest.Record("a", id))
			sub.Ch <- m
			return m
		}
		original := send("a1")
		send("a2")
		for range 3 {
			s.says(wantNext(t, out, "a1"), routertest.ErrPlain)
			wantNext(t, out, "")
			routertest.Elapse(unknownPause)
		}
		m := wantNext(t, out, "a1")
		if m == original {
			t.Error("the original was handed out")
		}
		func() {
			defer func() { _ = recover() }()
			_, _ = s.verdict(func(*message.Message) ([]*message.Message, error) { panic("a bug") })(m)
		}()
		routertest.Elapse(unknownPause)
		if len(told) > 0 {
			t.Fatalf("told %v before the end", told)
		}
		s.says(wantNext(t, out, "a1"), nil)
		s.says(wantNext(t, out, "a2"), nil)
		if want := []string{"a1 true", "a2 true"}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
		_ = s.Close()
	})
}

// What waits goes back with its claim at once. What is in an attempt does not, and the
// next owner in the same process waits for it.
func TestWhatWaitsGoesBackWithItsClaim(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{Concurrency: 1})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var msgs []*message.Message
		for i := range 4 {
			msgs = append(msgs, routertest.Within(ctx, routertest.Record("a", fmt.Sprint("a", i))))
			sub.Ch <- msgs[i]
		}
		attempted := wantNext(t, out, "a0")
		other, stays := routertest.Within(ctx, routertest.Record("b", "b0")), routertest.Record("c", "c0")
		sub.Ch <- other
		sub.Ch <- stays
		cancel()
		synctest.Wait()
		routertest.WantVerdicts(t, append(msgs[1:], other), "nacked")
		routertest.WantVerdicts(t, []*message.Message{msgs[0], stays}, "")
		if attempted.Context().Err() == nil {
			t.Error("the handler is not told that the claim ended")
		}
		again := routertest.Record("a", "a0")
		sub.Ch <- again
		late := routertest.Within(ctx, routertest.Record("a", "a1")) // read before the claim ended
		sub.Ch <- late
		wantNext(t, out, "")
		routertest.WantVerdict(t, late, "nacked")
		s.says(attempted, routertest.ErrPlain)
		routertest.WantVerdict(t, msgs[0], "nacked")
		s.says(wantNext(t, out, "c0"), nil)
		s.says(wantNext(t, out, "a0"), nil)
		routertest.WantVerdict(t, again, "acked")
		_ = s.Close()
	})
}

// A message that was handed out when its claim ended, or when a drain began, is not
// attempted.
func TestNothingBeginsAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(s *Scheduler, cancel func()){
		"claim": func(_ *Scheduler, cancel func()) { cancel() },
		"drain": func(s *Scheduler, _ func()) { s.refuse() },
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				sub := routertest.NewChanSub()
				s, out := schedulerOf(t, sub, schedule.Config{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				m := routertest.Within(ctx, routertest.Record("a", "a0"))
				sub.Ch <- m
				attempted := wantNext(t, out, "a0")
				end(s, cancel)
				_, _ = s.verdict(func(*message.Message) ([]*message.Message, error) {
					t.Error("attempted")
					return nil, nil
				})(attempted)
				routertest.WantVerdict(t, m, "nacked")
				_ = s.Close()
			})
		})
	}
}

func TestDrain(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{Concurrency: 1})
		a1, a2, a3, b1 := routertest.Record("a", "a1"), routertest.Record("a", "a2"), routertest.Record("a", "a3"), routertest.Record("b", "b1")
		for _, m := range []*message.Message{a1, a2, a3, b1} {
			sub.Ch <- m
		}
		end := s.handled(wantNext(t, out, "a1"))
		done := make(chan error, 1)
		go func() { done <- s.Drain(t.Context()) }()
		synctest.Wait()
		routertest.WantVerdicts(t, []*message.Message{a2, a3, b1}, "nacked")
		routertest.WantVerdict(t, a1, "")
		// Regression: over a subscriber that is no Drainer, Drain returned while
		// a handler was at work, and Close cut it.
		select {
		case <-done:
			t.Fatal("Drain returned while a message is in the handler")
		default:
		}
		late := routertest.Record("c", "c1")
		sub.Ch <- late
		wantNext(t, out, "")
		routertest.WantVerdict(t, late, "nacked")
		end(nil)
		routertest.WantVerdict(t, a1, "acked")
		if err := errors.Join(<-done, s.Drain(t.Context())); err != nil {
			t.Error(err)
		}
		if now := s.State(); now.Held != 0 {
			t.Errorf("state after drain: %+v", now)
		}
		_ = s.Close()
	})
}

// An attempt that fails while its scheduler drains goes back instead of being made again.
func TestDrainDuringAFailingAttempt(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{})
		a1 := routertest.Record("a", "a1")
		sub.Ch <- a1
		end := s.handled(wantNext(t, out, "a1"))
		go func() { _ = s.Drain(t.Context()) }()
		synctest.Wait()
		end(&again{until: time.Now(), err: routertest.ErrPlain})
		routertest.WantVerdict(t, a1, "nacked")
		wantNext(t, out, "")
		_ = s.Close()
	})
}

// A drain whose time is over says what is still under way.
func TestDrainNamesWhatDoesNotEnd(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{})
		sub.Ch <- routertest.Record("a", "a1")
		m := wantNext(t, out, "a1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 under way, the longest for 1s: event a1") {
			t.Errorf("got %v", err)
		}
		s.says(m, nil)
		_ = s.Close()
	})
}

// Regression: records that another program wrote without a key all waited
// behind one another.
func TestARecordWithoutAKeyIsAKeyOfItsOwn(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{})
		sub.Ch <- message.NewMessage("u1", nil)
		sub.Ch <- message.NewMessage("u2", nil)
		first, second := wantNext(t, out, "u1"), wantNext(t, out, "u2")
		s.says(first, nil)
		s.says(second, nil)
		_ = s.Close()
	})
}

func TestSchedulerState(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{})
		began := time.Now()
		sub.Ch <- routertest.Record("a", "a1")
		m := wantNext(t, out, "a1")
		if now := s.State(); now.Held != 1 || len(now.Blocked) != 0 || !now.OldestBlocked.IsZero() {
			t.Errorf("one message: %+v", now)
		}
		routertest.Elapse(time.Minute)
		for _, m := range []*message.Message{routertest.Record("a", "a2"), routertest.Record("a", "a3"), routertest.Record("b", "b1")} {
			sub.Ch <- m
		}
		synctest.Wait()
		if now := s.State(); now.Held != 4 || now.Slots != 2 || len(now.Blocked) != 1 || !now.OldestBlocked.Equal(began.Add(time.Minute)) {
			t.Errorf("got %+v", now)
		}
		routertest.Elapse(time.Minute)
		s.says(m, nil)
		if now := s.State(); now.Held != 3 || !now.OldestBlocked.Equal(began.Add(2*time.Minute)) {
			t.Errorf("after the key moved: %+v", now)
		}
		_ = s.Drain(t.Context()) // what nobody has taken goes back, too
		_ = s.Close()
	})
}

// What waits when the subscription ends goes back: nobody would take its ack.
func TestTheEndOfASubscription(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{Concurrency: 1})
		a, b := routertest.Record("a", "a1"), routertest.Record("b", "b1")
		sub.Ch <- a
		sub.Ch <- b
		wantNext(t, out, "a1")
		_ = sub.Close()
		synctest.Wait()
		routertest.WantVerdict(t, b, "nacked")
		if err := s.Close(); !errors.Is(err, errLeftBehind) || !strings.Contains(err.Error(), "event a1") {
			t.Errorf("closed: %v", err)
		}
		routertest.WantVerdict(t, a, "nacked")
		if _, open := <-out; open {
			t.Error("the channel is open")
		}
	})
}

// A panic of our own while a batch is handled does not spin: each of it comes alone, and
// not at once.
func TestAPanicBesideABatchDoesNotSpin(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		sub := routertest.NewChanSub()
		s, out := schedulerOf(t, sub, schedule.Config{Batch: Batch{MaxEvents: 2}})
		a, b := routertest.Record("a", "a1"), routertest.Record("b", "b1")
		sub.Ch <- a
		sub.Ch <- b
		m := wantNext(t, out, "a1")
		func() {
			defer func() { _ = recover() }()
			_, _ = s.verdict(func(*message.Message) ([]*message.Message, error) { panic("a bug") })(m)
		}()
		wantNext(t, out, "")
		routertest.Elapse(unknownPause)
		first, second := next(out), next(out)
		if first == nil || second == nil || len(attemptOf(first.Context()).Deliveries) != 1 {
			t.Fatal("they do not come alone")
		}
		s.says(first, nil)
		s.says(second, nil)
		routertest.WantVerdicts(t, []*message.Message{a, b}, "acked")
		_ = s.Close()
	})
}
