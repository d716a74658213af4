package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/metrics"
)

var errDown = errors.New("down")

// bench drives a machine by keys, each with one delivery at a time in an attempt.
type bench struct {
	*testing.T
	m       *Machine
	now     time.Time
	running map[string]*Attempt // by the key of the first delivery
}

func newBench(t *testing.T, cfg Config) *bench {
	cfg.Breaker, cfg.Batch = cfg.Breaker.WithDefaults(), cfg.Batch.WithDefaults()
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 8
	}
	now := time.Unix(1000, 0)
	return &bench{T: t, m: New(cfg, now), now: now, running: map[string]*Attempt{}}
}

// arrive has a delivery come for each key.
func (b *bench) arrive(keys ...string) {
	for _, k := range keys {
		b.m.Arrive(b.now, k, &message.Message{UUID: k}, nil)
	}
}

// start starts all that may, and says the keys.
func (b *bench) start() string {
	var keys []string
	for {
		a := &Attempt{}
		if !b.m.Start(b.now, a) {
			return strings.Join(keys, " ")
		}
		var of []string
		for _, d := range a.Deliveries {
			of = append(of, d.Key())
		}
		keys = append(keys, strings.Join(of, "+"))
		b.running[a.Deliveries[0].Key()] = a
	}
}

func (b *bench) wantStart(want string) {
	b.Helper()
	if got := b.start(); got != want {
		b.Errorf("started %q, want %q", got, want)
	}
}

// fail ends the attempt of a key, which is made again after wait.
func (b *bench) fail(key string, o Outcome, asked Asked, wait time.Duration) {
	a := b.running[key]
	delete(b.running, key)
	b.m.End(b.now, a, o, asked, errDown)
	b.m.Finish(b.now, a, Verdict{Kind: Backoff, Until: b.now.Add(wait)})
}

// done ends the attempts of keys with an outcome that is final.
func (b *bench) done(o Outcome, keys ...string) {
	for _, key := range keys {
		a := b.running[key]
		delete(b.running, key)
		b.m.End(b.now, a, o, Asked{}, nil)
		b.m.Finish(b.now, a, make([]Verdict, len(a.Deliveries))...)
	}
}

func (b *bench) wantBreaker(want string) {
	b.Helper()
	got := "closed"
	switch s := b.m.Breaker(); {
	case s.Open:
		got = "open for " + s.Until.Sub(b.now).String()
	case s.Opening:
		got = "opening"
	}
	if got != want {
		b.Errorf("the breaker is %s, want %s", got, want)
	}
}

// keys are n keys.
func keys(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("k", i))
	}
	return all
}

func TestReadyKeysTakeTurns(t *testing.T) {
	b := newBench(t, Config{Concurrency: 2})
	b.arrive("a", "a", "b", "c")
	b.wantStart("a b")
	b.done(Success, "a")
	b.wantStart("c") // before the second of a
	b.done(Success, "b", "c")
	b.wantStart("a")
}

// A delivery that waits is its message and these.
func TestWaitingIsSmall(t *testing.T) {
	const perEntry = 8 + 16 + 8 // of the map of keys, about
	if n := unsafe.Sizeof(key{}) + unsafe.Sizeof(Delivery{}) + perEntry; n > 250 {
		t.Errorf("a user with one event takes %d bytes", n)
	}
	b := newBench(t, Config{})
	b.m.Pause(b.now)
	b.arrive("a")
	n := testing.AllocsPerRun(100, func() { b.arrive("a") })
	if n > 2 { // the delivery and the message of this test
		t.Errorf("another event allocates %v times", n)
	}
}

// To leave is no search: each of 100,000 deliveries that back off is looked at once when
// a claim ends. Looking each up in a list of all was quadratic.
func TestLeavingIsNoSearch(t *testing.T) {
	users := 100_000
	if testing.Short() {
		users = 10_000
	}
	b := newBench(t, Config{Concurrency: users, Breaker: Breaker{Failures: 2 * users}})
	all := keys(users)
	claims := make([]Claim, 4)
	for i, k := range all {
		b.m.Arrive(b.now, k, &message.Message{}, &claims[i%4])
	}
	b.start()
	for i, k := range all {
		b.fail(k, Failed, Asked{}, time.Duration(i%1000)*time.Millisecond+time.Second)
	}
	steps := 0
	b.m.sweep(0, func(*Delivery) bool { steps++; return false })
	if steps != users {
		t.Errorf("%d steps for %d deliveries", steps, users)
	}
	b.now = b.now.Add(1500 * time.Millisecond)
	b.m.EndClaim(b.now, &claims[0])
	if n := len(b.m.Back()); n != users/4 {
		t.Errorf("%d went back with their claim", n)
	}
	b.start()
	b.m.Drain(b.now)
	if n := len(b.m.Back()) + len(b.running); n != users*3/4 {
		t.Errorf("%d went back or are in an attempt", n)
	}
}

// Age is the time of attempts and backoffs that were the event's own fault.
func TestOnlyItsOwnFaultAgesAnEvent(t *testing.T) {
	b := newBench(t, Config{Concurrency: 1, Rate: Rate{PerSecond: 1}})
	b.arrive("a")
	age := func() time.Duration { l, _ := b.m.Look(b.now, "a", 0); return l.History.Age }
	wait := func(d time.Duration) { b.now = b.now.Add(d) }
	wait(time.Hour)
	b.start()
	wait(time.Second)
	b.fail("a", Failed, Asked{}, 2*time.Second)
	b.arrive("slow")
	b.wantStart("slow")
	wait(time.Hour)
	b.wantStart("") // a is ready, and has no slot
	b.done(Success, "slow")
	b.m.Pause(b.now)
	wait(time.Hour)
	b.wantStart("")
	b.m.Resume()
	b.wantStart("a")
	wait(time.Second)
	b.fail("a", Unavailable, Asked{}, time.Hour)
	if age() != 3*time.Second {
		t.Errorf("aged by %s, want the first attempt and its backoff", age())
	}
	wait(2 * time.Hour)
	b.wantStart("a")
	b.m.End(b.now, b.running["a"], Final, Asked{}, errDown)
	b.m.Finish(b.now, b.running["a"], Verdict{Kind: Store, Until: b.now.Add(time.Hour), Given: "why"})
	wait(time.Hour)
	b.wantStart("a")
	if age() != 3*time.Second {
		t.Errorf("aged by %s", age())
	}
}

func TestARateIsExact(t *testing.T) {
	for _, c := range []struct {
		rate Rate
		want string // what starts each second, of 20 that are ready
	}{
		{Rate{PerSecond: 2}, "2 2 2 2"}, {Rate{PerSecond: 2, Burst: 5}, "5 2 2 2"}, {Rate{PerSecond: 0.5}, "1 0 1 0"}, {Rate{PerSecond: 3, Burst: 1}, "1 1 1 1"},
		{Rate{PerSecond: 1e-12, Burst: 1 << 31}, "20 0 0 0"}, {Rate{PerSecond: 1e12}, "20 0 0 0"},
	} {
		b := newBench(t, Config{Concurrency: 100, Rate: c.rate})
		b.arrive(keys(20)...)
		var got []string
		for range 4 {
			got = append(got, fmt.Sprint(len(strings.Fields(b.start()))))
			b.now = b.now.Add(time.Second)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%+v: %s, want %s", c.rate, s, c.want)
		}
	}
}

// A batch is full, or its first has waited long enough; what goes alone waits for no
// company.
func TestBatches(t *testing.T) {
	b := newBench(t, Config{Concurrency: 2, Batch: Batch{MaxEvents: 3, MaxWait: time.Second}})
	b.arrive("a", "a")
	b.wantStart("")
	if due, ok := b.m.Due(b.now); !ok || due.Sub(b.now) != time.Second {
		t.Errorf("due %v", due)
	}
	b.arrive("b", "c")
	b.wantStart("a+a+b")
	b.arrive("a")
	b.now = b.now.Add(time.Second)
	b.wantStart("c")
	a := b.running["a"]
	b.m.End(b.now, a, Failed, Asked{}, errDown)
	apart := Verdict{Kind: Apart, Until: b.now, Err: errDown}
	b.m.Finish(b.now, a, apart, apart, Verdict{})
	b.wantStart("a") // alone, and at once
	if n := b.running["a"].Deliveries[0].Number(); n != 2 {
		t.Errorf("attempt %d", n)
	}
	b.done(Success, "a")
	b.wantStart("a")
	b.done(Success, "a", "c")
	b.wantStart("") // the last of a waits for company
	b.now = b.now.Add(time.Second)
	b.wantStart("a")
}

// What was given up is stored and not attempted, whatever the destination waits for, and
// at most as many at once as attempts.
func TestStoresWaitForNothingElse(t *testing.T) {
	b := newBench(t, Config{Concurrency: 2})
	b.arrive(keys(6)...)
	b.start()
	for range 2 {
		for k, a := range b.running {
			delete(b.running, k)
			b.m.End(b.now, a, Final, Asked{}, errDown)
			b.m.Finish(b.now, a, Verdict{Kind: Store, Until: b.now.Add(time.Second), Given: "why", Err: errDown})
		}
		b.start()
	}
	b.done(Success, "k4", "k5") // so that it is about the stores alone
	if l, _ := b.m.Look(b.now, "k0", 0); l.Reason != metrics.WaitBroker || !l.Next.Equal(b.now.Add(time.Second)) || l.Tries != 1 {
		t.Errorf("%+v", l)
	}
	b.m.Pause(b.now)
	b.now = b.now.Add(time.Second)
	if got := strings.Fields(b.start()); len(got) != 2 {
		t.Errorf("%v are stored at once", got)
	}
	for k, a := range b.running {
		if !a.Store || a.Deliveries[0].History.Given != "why" {
			t.Errorf("%s is attempted", k)
		}
		delete(b.running, k)
		b.m.Finish(b.now, a, Verdict{})
	}
	if got := strings.Fields(b.start()); len(got) != 2 {
		t.Errorf("%v are stored then", got)
	}
}

// While handlers wait for the broker no more attempts begin than they are.
func TestSlowStoresHoldAttemptsUp(t *testing.T) {
	b := newBench(t, Config{Concurrency: 2})
	b.arrive(keys(6)...)
	b.start()
	for _, k := range []string{"k0", "k1"} { // given up; the handlers store
		b.m.End(b.now, b.running[k], Final, Asked{}, errDown)
	}
	b.wantStart("")
	if l, _ := b.m.Look(b.now, "k2", 0); l.Reason != metrics.WaitBroker {
		t.Errorf("%+v", l)
	}
	b.done(Nothing, "k0")
	b.wantStart("k2 k3")
}

// What waits can be asked for, with what follows and when it goes on.
func TestLook(t *testing.T) {
	b := newBench(t, Config{Concurrency: 1, Rate: Rate{PerSecond: 1}})
	look := func(key string) Look {
		l, ok := b.m.Look(b.now, key, 1)
		if !ok {
			t.Fatalf("nothing of %s", key)
		}
		return l
	}
	began := b.now
	b.arrive("a", "a", "a")
	b.wantStart("a")
	b.now = b.now.Add(time.Millisecond)
	b.arrive("b", "b")
	if l := look("a"); l.Reason != metrics.WaitAttempt || l.Waiting != 2 || l.All != 2 || len(l.Behind) != 1 || !l.Blocked.Equal(began) || !l.Started {
		t.Errorf("a: %+v", l)
	}
	if l := look("b"); l.Reason != metrics.WaitSlot || !l.Since.Equal(b.now) || !l.Blocked.Equal(b.now) {
		t.Errorf("b: %+v", l)
	}
	b.done(Success, "a")
	if l := look("b"); l.Reason != metrics.WaitRateLimit || !l.Next.Equal(began.Add(time.Second)) {
		t.Errorf("b: %+v", l)
	}
	if l := look("a"); !l.Next.Equal(began.Add(2*time.Second)) || !l.Blocked.Equal(b.now) {
		t.Errorf("a is the second in line: %+v", l)
	}
	if by, oldest := b.m.Blocked(b.now); len(by) != 1 || by[metrics.WaitRateLimit] != 2 || !oldest.Equal(began.Add(time.Millisecond)) {
		t.Errorf("blocked %v since %v", by, oldest)
	}
	b.m.Pause(b.now)
	if l := look("b"); l.Reason != metrics.WaitPaused || !l.Next.IsZero() {
		t.Errorf("b: %+v", l)
	}
	if _, ok := b.m.Look(b.now, "c", 1); ok {
		t.Error("there is a c")
	}
	var all []string
	b.m.Each(b.now, func(l Brief) { all = append(all, l.Key) })
	slices.Sort(all)
	if !slices.Equal(all, []string{"a", "b"}) {
		t.Errorf("%v", all)
	}
}

// While nothing is attempted more deliveries than slots are of no use.
// A key whose first delivery fails again and again is blocked since something came to
// wait behind it, and not since the last attempt.
func TestBlockedSinceTheFirstIsTried(t *testing.T) {
	b := newBench(t, Config{})
	b.arrive("a", "a", "a")
	began := b.now
	for range 5 {
		b.wantStart("a")
		b.now = b.now.Add(time.Second)
		b.fail("a", Failed, Asked{}, time.Minute)
		if _, oldest := b.m.Blocked(b.now); !oldest.Equal(began) {
			t.Fatalf("blocked since %v, want %v", oldest, began)
		}
		b.now = b.now.Add(time.Minute)
	}
	b.wantStart("a")
	b.done(Success, "a")
	if _, oldest := b.m.Blocked(b.now); !oldest.Equal(b.now) {
		t.Errorf("blocked since %v: the key has moved", oldest)
	}
}

func TestMost(t *testing.T) {
	b := opened(t, Config{Concurrency: 3}, keys(9)...)
	if n := b.m.Most(); n != 3+2 { // x and y are in backoff
		t.Errorf("open: %d", n)
	}
	b.wantStart("k0")
	b.done(Success, "k0")
	if n := b.m.Most(); n != 0 {
		t.Errorf("opening: %d", n)
	}
	b.m.Pause(b.now)
	if n := b.m.Most(); n != 3+2 {
		t.Errorf("paused: %d", n)
	}
}

// What an attempt says that was left behind counts for nothing.
// A probe that takes a key once more is starved only where no other key is ready.
func TestStarved(t *testing.T) {
	for name, c := range map[string]struct {
		cfg Config
		o   Outcome
	}{"breaker": {Config{}, Unavailable}, "hold": {Config{FloodGuard: 2}, Final}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.cfg)
			most := func(want int) {
				t.Helper()
				if got := b.m.Most(); got != want {
					t.Errorf("most %d, want %d", got, want)
				}
			}
			probe := func(key string, starved int) {
				t.Helper()
				b.now = b.now.Add(10 * time.Minute)
				b.wantStart(key)
				if got := b.m.Starved(); got != starved {
					t.Errorf("the probe of %s: starved %d, want %d", key, got, starved)
				}
				b.fail(key, c.o, Asked{}, 0)
			}
			b.arrive("a", "b", "b")
			b.wantStart("a b")
			b.fail("a", c.o, Asked{}, 0)
			b.fail("b", c.o, Asked{}, 0)
			most(8 + 2)
			probe("a", 3)
			most(8 + 2 + 3)
			b.arrive("c")
			probe("b", 0)
			probe("a", 0)
			probe("c", 0)
			most(8 + 3 + 3)
			probe("b", 4)
			if got := b.m.Starved(); got != 0 {
				t.Errorf("starved %d twice", got)
			}
			most(8 + 3 + 3 + 4)
			b.now = b.now.Add(10 * time.Minute)
			b.start()
			b.done(Success, "a")
			b.start()
			b.done(Success, "c", "b")
			most(0)
			b.m.Pause(b.now)
			most(8)
		})
	}
}

func TestAbandon(t *testing.T) {
	b := newBench(t, Config{Batch: Batch{MaxEvents: 2}})
	b.arrive("a", "b", "c")
	b.now = b.now.Add(time.Second)
	b.wantStart("a+b c")
	settling := b.running["c"]
	if !settling.Settle() {
		t.Fatal("nobody else settles it")
	}
	b.m.Drain(b.now)
	b.m.Abandon(b.now)
	back := b.m.Back()
	if len(back) != 2 || b.running["a"].Settle() || b.m.Busy() != 1 {
		t.Errorf("%d went back, %d are busy", len(back), b.m.Busy())
	}
	b.m.Released(2)
	b.done(Success, "c")
	if n, bytes := b.m.Held(); n != 0 || bytes != 0 || b.m.Busy() != 0 {
		t.Errorf("%d are held, %d busy", n, b.m.Busy())
	}
}
