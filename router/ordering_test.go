package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"pgregory.net/rapid"

	"eventserver/infra"
)

// ordered is an Ordered in a bubble over a channel. It closes with the test.
func ordered(t testing.TB, sub infra.Subscriber) (*Ordered, <-chan *message.Message) {
	t.Helper()
	o := NewOrdered(sub, Grouping{})
	out, err := o.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	return o, out
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

func TestOrderedOneOfAKeyAtATime(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		o, out := ordered(t, sub)
		a1, a2, b1 := record("a", "a1"), record("a", "a2"), record("b", "b1")
		for _, m := range []*message.Message{a1, a2, b1} {
			sub.ch <- m
		}
		synctest.Wait()
		first, second := next(out), next(out)
		got := []string{first.UUID, second.UUID}
		slices.Sort(got)
		if !slices.Equal(got, []string{"a1", "b1"}) {
			t.Fatalf("in the handler: %v, want a1 and b1", got)
		}
		wantNext(t, out, "")
		if first.UUID != "a1" {
			first, second = second, first
		}
		// While a is stuck, b goes on.
		second.Ack()
		b2 := record("b", "b2")
		sub.ch <- b2
		wantNext(t, out, "b2").Ack()
		synctest.Wait()
		wantVerdict(t, b1, "acked")
		wantVerdict(t, b2, "acked")
		wantVerdict(t, a1, "")
		first.Ack()
		wantNext(t, out, "a2").Ack()
		synctest.Wait()
		wantVerdict(t, a1, "acked")
		wantVerdict(t, a2, "acked")
		if s := o.State(); s.Held != 0 || s.BlockedKeys != 0 {
			t.Errorf("state at rest: %+v", s)
		}
		if err := errors.Join(o.Close(), o.Close()); err != nil {
			t.Error(err)
		}
		if _, open := <-out; open {
			t.Error("Close leaves the channel open")
		}
	})
}

func TestOrderedNackIsRedeliveredInPlace(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		o, out := ordered(t, sub)
		a1, a2 := record("a", "a1"), record("a", "a2")
		sub.ch <- a1
		sub.ch <- a2
		for range 3 {
			wantNext(t, out, "a1").Nack()
			wantNext(t, out, "") // a handler that nacks at once does not spin
			elapse(nackPause)
		}
		wantVerdict(t, a1, "")
		m := wantNext(t, out, "a1")
		if m == a1 {
			t.Error("the original was handed out: it cannot be handed out again")
		}
		if m.Context().Err() != nil {
			t.Error("redelivered with a context that is over")
		}
		m.Ack()
		wantNext(t, out, "a2").Ack()
		synctest.Wait()
		wantVerdict(t, a1, "acked")
		wantVerdict(t, a2, "acked")
		_ = o.Close()
	})
}

func TestOrderedClaimEnds(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		o, out := ordered(t, sub)
		ctx, cancel := context.WithCancel(t.Context())
		var msgs []*message.Message
		for i := range 4 {
			m := within(ctx, record("a", fmt.Sprint("a", i)))
			msgs = append(msgs, m)
			sub.ch <- m
		}
		other := within(ctx, record("b", "b0"))
		inHandler := wantNext(t, out, "a0")
		sub.ch <- other // nobody takes it: it waits at the door
		cancel()
		synctest.Wait()
		wantVerdict(t, other, "nacked")
		for _, m := range msgs {
			wantVerdict(t, m, "") // the handler still holds a0: nothing of the key moves
		}
		if inHandler.Context().Err() == nil {
			t.Error("the handler is not told that the claim ended")
		}
		// The new owner of the same process: behind the old message, not beside it.
		again := record("a", "a0")
		sub.ch <- again
		wantNext(t, out, "")
		inHandler.Nack()
		m := wantNext(t, out, "a0")
		for _, m := range msgs {
			wantVerdict(t, m, "nacked")
		}
		m.Ack()
		synctest.Wait()
		wantVerdict(t, again, "acked")
		_ = o.Close()
	})
}

func TestOrderedDrain(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		o, out := ordered(t, sub)
		a1, a2, a3, b1 := record("a", "a1"), record("a", "a2"), record("a", "a3"), record("b", "b1")
		sub.ch <- a1
		inHandler := wantNext(t, out, "a1")
		for _, m := range []*message.Message{a2, a3, b1} {
			sub.ch <- m
		}
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- o.Drain(t.Context()) }()
		synctest.Wait()
		for _, m := range []*message.Message{a2, a3, b1} {
			wantVerdict(t, m, "nacked")
		}
		wantVerdict(t, a1, "")
		// Regression: over a subscriber that is no Drainer, Drain returned while
		// a handler was at work, and Close cut it.
		select {
		case <-done:
			t.Fatal("Drain returned while a message is in the handler")
		default:
		}
		late := record("c", "c1")
		sub.ch <- late
		wantNext(t, out, "")
		wantVerdict(t, late, "nacked")
		inHandler.Ack()
		synctest.Wait()
		wantVerdict(t, a1, "acked")
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := o.Drain(t.Context()); err != nil { // again
			t.Error(err)
		}
		if s := o.State(); s.Held != 0 {
			t.Errorf("state after drain: %+v", s)
		}
		_ = o.Close()
	})
}

func TestOrderedDrainEndsWithItsContext(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		o, out := ordered(t, sub)
		sub.ch <- record("a", "a1")
		m := wantNext(t, out, "a1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := o.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		m.Nack()
		_ = o.Close()
	})
}

// A message nacked while draining goes back instead of being tried again.
func TestOrderedDrainNacked(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		o, out := ordered(t, sub)
		a1 := record("a", "a1")
		sub.ch <- a1
		m := wantNext(t, out, "a1")
		go func() { _ = o.Drain(t.Context()) }()
		synctest.Wait()
		m.Nack()
		synctest.Wait()
		wantVerdict(t, a1, "nacked")
		wantNext(t, out, "")
		_ = o.Close()
	})
}

// Regression: with a reader ready, every second message that met a drain at the
// door was handed out all the same.
func TestOrderedNothingNewAfterDrain(t *testing.T) {
	o := NewOrdered(newChanSub(), Grouping{})
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := make(chan *message.Message)
	handedOut := make(chan int)
	go func() {
		n := 0
		for m := range out {
			n++
			m.Ack()
		}
		handedOut <- n
	}()
	for range 200 {
		o.handle(record("a", "a1"), out)
	}
	close(out)
	if n := <-handedOut; n > 0 {
		t.Errorf("handed out %d of 200 after Drain", n)
	}
}

// Regression: records that another program wrote without a key all waited
// behind one another.
func TestOrderedWithoutKeyIsAKeyOfItsOwn(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		o, out := ordered(t, sub)
		m1, m2 := message.NewMessage("u1", nil), message.NewMessage("u2", nil)
		sub.ch <- m1
		first := wantNext(t, out, "u1")
		sub.ch <- m2
		wantNext(t, out, "u2").Ack()
		first.Ack()
		synctest.Wait()
		_ = o.Close()
	})
}

func TestOrderedState(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		o, out := ordered(t, sub)
		began := time.Now()
		sub.ch <- record("a", "a1")
		h := wantNext(t, out, "a1")
		if s := o.State(); s.Held != 1 || s.BlockedKeys != 0 || !s.OldestBlocked.IsZero() {
			t.Errorf("one message: %+v", s)
		}
		elapse(time.Minute)
		sub.ch <- record("a", "a2")
		sub.ch <- record("a", "a3")
		sub.ch <- record("b", "b1")
		synctest.Wait()
		want := OrderedState{Held: 4, BlockedKeys: 1, OldestBlocked: began.Add(time.Minute)}
		if s := o.State(); s.Held != want.Held || s.BlockedKeys != 1 || !s.OldestBlocked.Equal(want.OldestBlocked) {
			t.Errorf("got %+v, want %+v", s, want)
		}
		elapse(time.Minute)
		h.Ack()
		synctest.Wait()
		if s := o.State(); s.Held != 3 || !s.OldestBlocked.Equal(began.Add(2*time.Minute)) {
			t.Errorf("after the key moved: %+v", s)
		}
		_ = o.Drain(t.Context())
		_ = o.Close()
	})
}

// What a model of a few lines says must hold for any keys, verdicts and drain
// point: at most one of a key in the handler; per key what was acked is a
// prefix, in order, each once; everything is settled at the end, the rest nacked.
func TestOrderedProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s script
		n := rapid.IntRange(1, 40).Draw(rt, "messages")
		s.keys = rapid.SliceOfN(rapid.IntRange(0, len(s.hands)-1), n, n).Draw(rt, "keys")
		s.steps = rapid.SliceOfN(rapid.SampledFrom([]step{
			{do: "send"}, {do: "send"}, {do: "take"}, {do: "take"}, {do: "time"},
			{"ack", 0}, {"ack", 1}, {"ack", 2}, {"ack", 3}, {"nack", 0}, {"nack", 1}, {"nack", 2}, {"nack", 3},
		}), 0, 8*n).Draw(rt, "steps")
		s.drainAt = rapid.IntRange(0, len(s.steps)).Draw(rt, "drainAt")
		s.lastAcked = rapid.Bool().Draw(rt, "lastAcked")
		var err error
		synctest.Test(t, func(t *testing.T) { err = s.play(t) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

type step struct {
	do  string
	key int // of ack and nack
}

// script is what happens in one run, and its model.
type script struct {
	keys      []int
	steps     []step
	drainAt   int  // before which step
	lastAcked bool // what the handlers say to a drain

	sent  [4][]*message.Message
	acked [4][]string
	hands [4]*message.Message // in the handler
}

func (s *script) settle(k int, ok bool) {
	m := s.hands[k]
	if m == nil {
		return
	}
	s.hands[k] = nil
	if ok {
		s.acked[k] = append(s.acked[k], m.UUID)
		m.Ack()
	} else {
		m.Nack()
	}
	synctest.Wait()
}

func (s *script) play(t *testing.T) (err error) {
	sub := newChanSub()
	o, out := ordered(t, sub)
	fault := func(format string, args ...any) { err = errors.Join(err, fmt.Errorf(format, args...)) }
	drained := make(chan error, 1)
	draining, sent := false, 0
	send := func() {
		if sent == len(s.keys) {
			return
		}
		k := s.keys[sent]
		m := record(fmt.Sprint(k), fmt.Sprintf("%d/%02d", k, sent))
		m.Metadata[infra.MetaOffset] = fmt.Sprint(k)
		sent++
		s.sent[k] = append(s.sent[k], m)
		sub.ch <- m
		synctest.Wait()
	}
	take := func() {
		m := next(out)
		if m == nil {
			return
		}
		k := int(infra.Offset(m))
		switch {
		case draining:
			fault("%s handed out after the drain began", m.UUID)
		case s.hands[k] != nil:
			fault("%s in the handler beside %s", m.UUID, s.hands[k].UUID)
		case len(s.acked[k]) >= len(s.sent[k]) || s.sent[k][len(s.acked[k])].UUID != m.UUID:
			fault("handed out %s after %v", m.UUID, s.acked[k])
		}
		s.hands[k] = m
	}
	for i, st := range append(s.steps, step{do: "end"}) {
		if i == s.drainAt {
			draining = true
			go func() { drained <- o.Drain(t.Context()) }()
			synctest.Wait()
		}
		switch st.do {
		case "send":
			send()
		case "take":
			take()
		case "ack", "nack":
			s.settle(st.key, st.do == "ack")
		case "time":
			elapse(nackPause)
		}
	}
	for sent < len(s.keys) { // too late
		send()
		take()
	}
	for k := range s.hands {
		s.settle(k, s.lastAcked)
	}
	if e := <-drained; e != nil {
		fault("drain: %w", e)
	}
	if st := o.State(); st != (OrderedState{}) {
		fault("state at the end: %+v", st)
	}
	for k, msgs := range s.sent {
		for i, m := range msgs {
			want := "nacked"
			if i < len(s.acked[k]) {
				want = "acked"
			}
			if got := verdict(m); got != want {
				fault("%s is %q, want %q; acked %v", m.UUID, got, want, s.acked[k])
			}
		}
	}
	if e := o.Close(); e != nil {
		fault("close: %w", e)
	}
	return err
}

// Where a subscriber learns of the verdict by a receipt, the message itself is
// handed out: a Nack of it must be redelivered in place all the same, and only
// the end told.
func TestOrderedRedeliversInPlaceWithReceipts(t *testing.T) {
	run(t, func(t *testing.T) {
		sub := newChanSub()
		_, out := ordered(t, sub)
		var told []string
		send := func(id string) {
			ctx := infra.WithReceipt(t.Context(), func(acked bool) { told = append(told, fmt.Sprint(id, " ", acked)) })
			sub.ch <- within(ctx, record("a", id))
		}
		send("a1")
		send("a2")
		for range 3 {
			wantNext(t, out, "a1").Nack()
			wantNext(t, out, "")
			elapse(nackPause)
		}
		if len(told) > 0 {
			t.Fatalf("told %v before the end", told)
		}
		wantNext(t, out, "a1").Ack()
		wantNext(t, out, "a2").Ack()
		synctest.Wait()
		if want := []string{"a1 true", "a2 true"}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}
