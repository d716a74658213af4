package schedule

import (
	"errors"
	"testing"
	"time"
)

func TestTwoUsersWhoFindItUnavailableOpenTheBreaker(t *testing.T) {
	b := newBench(t, Config{})
	b.arrive(keys(4)...)
	b.wantStart("k0 k1 k2 k3")
	b.fail("k0", Unavailable, Asked{}, 0)
	b.wantStart("k0")
	b.fail("k0", Unavailable, Asked{}, 0)
	b.wantBreaker("closed") // one user, twice
	b.done(Success, "k1")
	b.fail("k2", Unavailable, Asked{}, 0)
	b.wantBreaker("closed") // a success between
	b.fail("k3", Unavailable, Asked{}, 0)
	b.wantBreaker("open for 1s")
	b.wantStart("")
	if n := b.m.Notices(); len(n) != 1 || !n[0].Opened || !errors.Is(n[0].Cause, errDown) {
		t.Errorf("told %+v", n)
	}
}

func TestFailingUsersOpenTheBreaker(t *testing.T) {
	b := newBench(t, Config{Breaker: Breaker{Failures: 3}})
	b.arrive(keys(4)...)
	b.start()
	b.fail("k0", Failed, Asked{}, 0)
	b.start()
	b.fail("k0", Failed, Asked{}, 0)
	b.fail("k1", Failed, Asked{}, 0)
	b.done(Final, "k2") // it answers
	b.fail("k3", Failed, Asked{}, 0)
	b.start()
	b.fail("k0", Failed, Asked{}, 0)
	b.wantBreaker("closed")
	b.start()
	b.fail("k1", Failed, Asked{}, 0)
	b.wantBreaker("open for 1s")
}

// What says nothing of the destination, such as a record that cannot be decoded, is no
// failure of it.
func TestNothingIsNoFailure(t *testing.T) {
	b := newBench(t, Config{Breaker: Breaker{Failures: 2}})
	b.arrive(keys(6)...)
	b.start()
	b.done(Nothing, keys(6)...)
	b.wantBreaker("closed")
}

// opened is a bench whose breaker is open and whose pause is over, with waiting users.
func opened(t *testing.T, cfg Config, waiting ...string) *bench {
	b := newBench(t, cfg)
	b.arrive("x", "y")
	b.start()
	b.fail("x", Unavailable, Asked{}, time.Hour)
	b.fail("y", Unavailable, Asked{}, time.Hour)
	b.arrive(waiting...)
	b.wantStart("")
	b.now = b.now.Add(time.Second)
	b.m.Notices()
	return b
}

func TestOneProbeAtATime(t *testing.T) {
	b := opened(t, Config{}, keys(4)...)
	b.wantStart("k0")
	b.fail("k0", Failed, Asked{}, 0)
	b.wantBreaker("open for 2s")
	b.now = b.now.Add(2 * time.Second)
	b.wantStart("k1") // k0 went behind the others
	b.done(Nothing, "k1")
	b.wantStart("k2") // a probe that says nothing is none
	b.fail("k2", Unavailable, Asked{Wait: 7 * time.Second}, 0)
	b.wantBreaker("open for 7s") // as the receiver asked
	b.now = b.now.Add(7 * time.Second)
	b.wantStart("k3")
	b.fail("k3", Failed, Asked{}, 0)
	b.wantBreaker("open for 4s") // the pauses did not grow for it
	for range 10 {
		b.now = b.now.Add(time.Minute)
		b.fail(b.start(), Failed, Asked{}, 0)
	}
	b.wantBreaker("open for 1m0s")
	if n := b.m.Notices(); len(n) != 0 {
		t.Errorf("told again: %+v", n)
	}
}

// After a good probe two go, and with each success one more; what is refused with a
// time to come again pauses it again.
func TestTheBreakerOpensUpByAndBy(t *testing.T) {
	b := opened(t, Config{}, keys(12)...)
	b.wantStart("k0")
	b.done(Success, "k0")
	b.wantBreaker("opening")
	b.wantStart("k1 k2")
	b.done(Success, "k1")
	b.wantStart("k3 k4") // 3 at once
	b.done(Success, "k2")
	b.wantStart("k5 k6")
	b.done(Nothing, "k3") // says nothing: one in its place
	b.wantStart("k7")
	b.fail("k4", Failed, Asked{}, time.Hour) // nor does this
	b.wantStart("k8")
	b.fail("k5", Unavailable, Asked{Wait: 3 * time.Second}, time.Hour)
	b.wantBreaker("open for 3s")
	b.done(Success, "k6", "k7") // of before: they change nothing
	b.fail("k8", Unavailable, Asked{}, time.Hour)
	b.wantBreaker("open for 3s")
	b.now = b.now.Add(3 * time.Second)
	b.wantStart("k9")
	b.done(Success, "k9")
	b.wantStart("k10 k11")
	b.wantBreaker("closed") // nothing waits for it
	if n := b.m.Notices(); len(n) != 1 || n[0].Opened {
		t.Errorf("told %+v", n)
	}
}

func TestTheBreakerClosesWhenAllSlotsAreOpen(t *testing.T) {
	b := opened(t, Config{Concurrency: 3}, keys(9)...)
	b.wantStart("k0")
	b.done(Success, "k0")
	b.wantStart("k1 k2")
	b.wantBreaker("opening")
	b.done(Success, "k1")
	b.wantBreaker("closed")
	b.wantStart("k3 k4")
}

// Only an unavailability that meets a closed breaker, after others have succeeded
// since the last one, is the event's own fault.
func TestBlame(t *testing.T) {
	b := newBench(t, Config{})
	history := func() History { l, _ := b.m.Look(b.now, "bad", 0); return l.History }
	b.arrive("bad")
	for i, c := range []struct {
		succeeds bool
		counted  int
	}{{false, 0}, {false, 0}, {true, 1}, {false, 1}, {true, 2}} {
		if c.succeeds {
			b.arrive("good")
			b.start()
			b.done(Success, "good")
		}
		b.start()
		b.fail("bad", Unavailable, Asked{}, 0)
		if h := history(); h.Counted != c.counted || h.Tries != i+1 {
			t.Errorf("attempt %d: %+v, want %d counted", i+1, h, c.counted)
		}
	}
	b.arrive("other")
	b.start()
	b.fail("other", Unavailable, Asked{}, 0) // opens it
	b.now = b.now.Add(time.Second)
	b.arrive("good")
	b.m.RetryNow(b.now, func(d *Delivery) bool { return d.Key() == "good" })
	if b.start(); b.running["bad"] == nil {
		b.Fatal("the probe is another")
	}
	b.fail("bad", Unavailable, Asked{}, 0)
	if h := history(); h.Counted != 2 {
		t.Errorf("a probe counts: %+v", h)
	}
}
