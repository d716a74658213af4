package schedule

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"eventserver/metrics"
)

// refuse ends attempts of keys with a final answer: an event is given up, or stays.
func (b *bench) refuse(keys ...string) (stay int) {
	for _, key := range keys {
		a := b.running[key]
		delete(b.running, key)
		b.m.End(b.now, a, Final, Asked{}, errDown)
		v := Verdict{}
		if a.Deliveries[0].History.Held() {
			stay++
			v.Kind = Backoff
		}
		b.m.Finish(b.now, a, v)
	}
	return stay
}

func (b *bench) wantHold(want string) {
	b.Helper()
	got := "free"
	if s := b.m.Hold(); s.Held {
		got = "held for " + s.Until.Sub(b.now).String()
	}
	if got != want {
		b.Errorf("it is %s, want %s", got, want)
	}
}

func TestUsersRefusedInARowHold(t *testing.T) {
	b := newBench(t, Config{FloodGuard: 3})
	b.arrive(keys(7)...)
	b.arrive("k0", "k0", "k0")
	b.wantStart("k0 k1 k2 k3 k4 k5 k6")
	for range 3 { // one user, again and again
		if n := b.refuse("k0"); n != 0 {
			t.Error("one user holds it")
		}
		b.start()
	}
	b.refuse("k1")
	b.done(Success, "k2") // between
	if n := b.refuse("k3", "k0", "k4"); n != 1 {
		t.Errorf("%d stay, want the third", n)
	}
	b.wantHold("held for 1s")
	if n := b.refuse("k5"); n != 1 {
		t.Error("what was under way is given up")
	}
	b.wantStart("")
	if l, _ := b.m.Look(b.now, "k4", 0); l.Reason != metrics.WaitHeld || !l.Next.Equal(b.now.Add(time.Second)) || l.History.Counted != 0 {
		t.Errorf("it waits as %+v", l)
	}
	if n := b.m.Notices(); len(n) != 1 || !n[0].Hold || !n[0].Opened || !errors.Is(n[0].Cause, errDown) {
		t.Errorf("told %+v", n)
	}
	b.done(Success, "k6") // of before it, and good all the same
	b.wantHold("free")
	b.wantStart("k4 k5")
}

// held is a bench that is held, whose first pause is over, with waiting users.
func held(t *testing.T, cfg Config) *bench {
	cfg.FloodGuard = 2
	b := newBench(t, cfg)
	b.arrive("k0", "k1", "k2", "k3")
	b.start()
	b.done(Nothing, "k2", "k3")
	b.refuse("k0", "k1")
	b.arrive("k2", "k3")
	b.wantHold("held for 1s")
	b.wantStart("")
	b.now = b.now.Add(time.Second)
	b.m.Notices()
	return b
}

func TestAHoldProbesWithGrowingPauses(t *testing.T) {
	b := held(t, Config{Breaker: Breaker{Max: 5 * time.Second}})
	b.wantStart("k1")
	b.refuse("k1")
	b.wantHold("held for 2s")
	b.now = b.now.Add(2 * time.Second)
	b.wantStart("k2") // k1 went behind the others
	b.done(Nothing, "k2")
	b.wantStart("k3") // a probe that says nothing is none
	b.fail("k3", Failed, Asked{}, 0)
	b.wantHold("held for 2s") // the breaker's affair
	for range 4 {
		b.now = b.now.Add(5 * time.Second)
		b.refuse(b.start())
	}
	b.wantHold("held for 5s")
	b.m.RetryNow(b.now, func(d *Delivery) bool { return d.Key() == "k3" })
	b.wantStart("k3")
	b.refuse("k3")
	b.wantHold("held for 1s")
	if n := b.m.Notices(); len(n) != 0 {
		t.Errorf("told again: %+v", n)
	}
	b.now = b.now.Add(time.Second)
	b.wantStart("k1")
	b.done(Success, "k1")
	b.wantHold("free")
	b.wantStart("k3")
	if n := b.m.Notices(); len(n) != 1 || !n[0].Hold || n[0].Opened {
		t.Errorf("told %+v", n)
	}
}

// A breaker and a hold at once: a probe passes both.
// While it is held, what is not attempted is of no use.
func TestAHeldDestinationGivesBack(t *testing.T) {
	b := newBench(t, Config{Concurrency: 4, FloodGuard: 3})
	b.arrive(keys(9)...)
	b.wantStart("k0 k1 k2 k3")
	b.refuse("k0", "k1", "k2")
	b.wantHold("held for 1s")
	const tried = 2 // k2, whose answer held it, and k3, which is under way
	if n := b.m.Most(); n != 4+tried {
		t.Errorf("it wants %d", n)
	}
	b.arrive("k4", "k5", "k6")
	back := b.m.GiveBack(b.now)
	if held, _ := b.m.Held(); held != 7+3 || len(back) != 4 {
		t.Errorf("of %d held, %d come back", held, len(back))
	}
	b.m.GivenBack(len(back))
	b.done(Success, "k3")
	if n := b.m.Most(); n != 0 || b.m.Excess() != 0 {
		t.Errorf("it goes on, and wants %d", n)
	}
}

func TestABreakerDuringAHold(t *testing.T) {
	b := held(t, Config{})
	b.fail(b.start(), Unavailable, Asked{}, 0)
	b.now = b.now.Add(time.Second)
	b.fail(b.start(), Unavailable, Asked{}, 0)
	b.wantBreaker("open for 1s")
	b.wantHold("held for 1s")
	b.now = b.now.Add(time.Second)
	b.refuse(b.start())
	b.wantBreaker("opening") // it answers
	b.wantHold("held for 2s")
	b.wantStart("")
}

func TestLettingAHoldGo(t *testing.T) {
	b := held(t, Config{})
	if !b.m.LetGo(false) || b.m.LetGo(false) {
		t.Error("it was not held, or is")
	}
	b.wantStart("k1 k2 k3")
	if n := b.refuse("k1"); n != 1 {
		t.Error("the next final answer gives up")
	}
	b.wantHold("held for 1s")
	b.m.LetGo(true)
	b.arrive("k4", "k5")
	b.start()
	if n := b.refuse("k1", "k2", "k3", "k4"); n != 0 {
		t.Errorf("%d are not given up", n)
	}
	b.wantHold("free")
	b.done(Success, "k5")
	b.arrive("k0", "k1")
	b.start()
	if n := b.refuse("k0", "k1"); n != 1 {
		t.Error("it holds no more after a success")
	}
}

func TestABatchGivesNobodyUp(t *testing.T) {
	b := newBench(t, Config{FloodGuard: 1, Batch: Batch{MaxEvents: 2}})
	b.arrive("k0", "k1")
	b.wantStart("k0+k1")
	a := b.running["k0"]
	b.m.End(b.now, a, Final, Asked{}, errDown)
	b.wantHold("free")
	b.m.Finish(b.now, a, Verdict{Kind: Apart}, Verdict{Kind: Apart})
	b.wantStart("k0 k1")
	b.refuse("k0")
	b.wantHold("held for 1s")
}

func TestNoGuard(t *testing.T) {
	b := newBench(t, Config{Concurrency: 50})
	b.arrive(keys(50)...)
	b.start()
	if n := b.refuse(keys(50)...); n != 0 {
		t.Errorf("%d stay", n)
	}
}

// modelGuard is the hold as the model knows it.
type modelGuard struct {
	keys          map[string]bool // refused since a success
	held, accepts bool
}

// refused is an outcome for the hold: as many different keys as the limit, without a
// success, and what meets a final answer from then on stays.
func (s *model) refused(t *rapid.T, r *run, o Outcome) {
	g := &s.guard
	single := len(r.Deliveries) == 1
	switch {
	case s.cfg.FloodGuard == 0:
	case o == Success:
		*g = modelGuard{}
	case o == Final && single && !g.held && !g.accepts:
		if g.keys == nil {
			g.keys = map[string]bool{}
		}
		g.keys[r.Deliveries[0].Key()] = true
		g.held = len(g.keys) >= s.cfg.FloodGuard
	}
	if s.m.Hold().Held != g.held {
		t.Fatalf("held %v, want %v", s.m.Hold().Held, g.held)
	}
	if o == Final && single {
		known := s.of[r.Deliveries[0].Message]
		if known.held = r.Deliveries[0].History.Held(); known.held != g.held {
			t.Fatalf("stays %v, held %v", known.held, g.held)
		}
	}
}
