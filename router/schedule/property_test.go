package schedule

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"pgregory.net/rapid"
)

// model is a machine with the few lines that say what must hold of it.
type model struct {
	t   *rapid.T
	cfg Config
	m   *Machine
	now time.Time

	claims   [3]*Claim
	sent     map[string][]*sent // by key, in order; those without a final verdict
	of       map[*message.Message]*sent
	returned map[string][]*sent // by key, in order; what was given back and not read again
	running  []*run
	busy     map[string]bool // keys in an attempt
	numbers  int
	last     map[string]int // by key, the highest number that was attempted
	started  int            // deliveries of attempts
	began    time.Time
	paused   bool
	draining bool
	guard    modelGuard
}

// sent is a delivery as the model knows it.
type sent struct {
	key     string
	claim   *Claim
	size    int
	started bool      // it is in an attempt
	given   bool      // it was given up
	held    bool      // its last final answer gave nothing up
	alone   bool      // it goes by itself
	until   time.Time // nothing before
	final   bool
	number  int  // in the order of the key
	begun   bool // it has been in an attempt
	tried   bool // which came to something
	msg     *message.Message
}

// run is an attempt that is under way.
type run struct {
	Attempt

	ended bool
	probe bool // of a hold
}

func newModel(t *rapid.T) *model {
	cfg := Config{
		Concurrency: rapid.IntRange(1, 4).Draw(t, "concurrency"),
		Breaker:     Breaker{Failures: rapid.IntRange(1, 4).Draw(t, "failures"), Initial: time.Second, Max: 4 * time.Second},
		Batch:       Batch{MaxEvents: rapid.SampledFrom([]int{0, 0, 1, 2, 5}).Draw(t, "max events"), MaxBytes: 50, MaxWait: 10 * time.Millisecond},
		Rate:        Rate{PerSecond: rapid.SampledFrom([]float64{0, 0, 3, 100}).Draw(t, "rate"), Burst: rapid.IntRange(0, 3).Draw(t, "burst")},
		FloodGuard:  rapid.IntRange(0, 3).Draw(t, "flood guard"),
	}
	now := time.Unix(1000, 0)
	return &model{t: t, cfg: cfg, m: New(cfg, now), now: now, began: now, sent: map[string][]*sent{}, of: map[*message.Message]*sent{}, busy: map[string]bool{}, returned: map[string][]*sent{}, last: map[string]int{},
		claims: [3]*Claim{nil, {}, {}}}
}

func (s *model) arrive(t *rapid.T) {
	key := fmt.Sprint("k", rapid.IntRange(0, 4).Draw(t, "key"))
	d := &sent{key: key, claim: s.claims[rapid.IntRange(0, 2).Draw(t, "claim")], size: rapid.IntRange(0, 30).Draw(t, "size")}
	d.msg = &message.Message{Payload: make([]byte, d.size)}
	s.numbers++
	d.number = s.numbers
	if len(s.returned[key]) > 0 { // as a broker does, which reads what was given back first
		s.returned[key] = append(s.returned[key], d)
		return
	}
	s.comes(t, d)
}

func (s *model) comes(t *rapid.T, d *sent) {
	taken := s.m.Arrive(s.now, d.key, d.msg, d.claim)
	if taken == (s.draining || d.claim.isOver()) {
		t.Fatalf("taken %v, draining %v", taken, s.draining)
	}
	if taken {
		s.of[d.msg] = d
		s.sent[d.key] = append(s.sent[d.key], d)
	}
}

// start takes one attempt and holds it against the rules.
func (s *model) start(t *rapid.T) {
	r := &run{}
	breaker, hold := s.m.Breaker(), s.m.Hold()
	if !s.m.Start(s.now, &r.Attempt) {
		return
	}
	attempts, probes := 0, 0
	for _, other := range s.running {
		if !other.ended && other.probe {
			probes++
		}
		if !other.ended && !other.Store {
			attempts++
		}
	}
	switch {
	case s.draining:
		t.Fatal("started while draining")
	case !r.Store && s.paused:
		t.Fatal("attempted while paused")
	case !r.Store && attempts >= s.cfg.Concurrency:
		t.Fatal("more attempts than slots")
	case !r.Store && breaker.Open && s.now.Before(breaker.Until):
		t.Fatal("attempted during a pause of the breaker")
	case !r.Store && hold.Held && (probes > 0 || s.now.Before(hold.Until)):
		t.Fatal("attempted during a hold")
	case len(r.Deliveries) > 1 && len(r.Deliveries) > s.cfg.Batch.MaxEvents:
		t.Fatalf("a batch of %d", len(r.Deliveries))
	}
	r.probe = !r.Store && hold.Held
	bytes := 0
	mine := map[string]int{}
	for _, d := range r.Deliveries {
		known := s.of[d.Message]
		bytes += known.size
		switch {
		case known.final || known.started:
			t.Fatal("started twice")
		case s.busy[known.key] && mine[known.key] == 0:
			t.Fatal("a key in two attempts")
		case s.sent[known.key][mine[known.key]] != known, known.number < s.last[known.key] && !known.begun:
			t.Fatal("overtaken")
		case known.given != r.Store:
			t.Fatalf("given up %v, to be stored %v", known.given, r.Store)
		case known.alone && len(r.Deliveries) > 1:
			t.Fatal("what came apart is in company")
		case s.now.Before(known.until):
			t.Fatal("before its time")
		}
		s.busy[known.key], known.started, known.begun = true, true, true
		s.last[known.key] = max(s.last[known.key], known.number)
		mine[known.key]++
	}
	if len(r.Deliveries) > 1 && bytes > s.cfg.Batch.MaxBytes {
		t.Fatalf("a batch of %d bytes", bytes)
	}
	if !r.Store {
		s.started += len(r.Deliveries)
		if rate := s.cfg.Rate; rate.PerSecond > 0 {
			burst := max(1, rate.Burst)
			if rate.Burst == 0 {
				burst = int(rate.PerSecond)
			}
			may := float64(burst+max(0, s.cfg.Batch.MaxEvents-1)) + s.now.Sub(s.began).Seconds()*rate.PerSecond
			if float64(s.started) > may+0.001 {
				t.Fatalf("%d deliveries, the rate allows %.1f", s.started, may)
			}
		}
	}
	s.running = append(s.running, r)
}

func (s *model) end(t *rapid.T) {
	if len(s.running) == 0 {
		return
	}
	r := s.running[rapid.IntRange(0, len(s.running)-1).Draw(t, "which")]
	first := !r.Store && !r.ended
	if !r.Store {
		r.ended = true
	}
	asked := Asked{Wait: rapid.SampledFrom([]time.Duration{0, 0, time.Second}).Draw(t, "asked")}
	o := rapid.SampledFrom([]Outcome{Nothing, Success, Final, Final, Unavailable, Failed}).Draw(t, "outcome")
	s.m.End(s.now, &r.Attempt, o, asked, nil)
	if first {
		s.refused(t, r, o)
	}
}

func (s *model) finish(t *rapid.T) {
	if len(s.running) == 0 {
		return
	}
	i := rapid.IntRange(0, len(s.running)-1).Draw(t, "which")
	r := s.running[i]
	s.running = slices.Delete(s.running, i, i+1)
	verdicts := make([]Verdict, len(r.Deliveries))
	stuck := map[string]bool{}
	for i, d := range r.Deliveries {
		known := s.of[d.Message]
		kinds := []Kind{Gone, Gone, Backoff, Store, Blocked}
		switch {
		case known.held:
			kinds = []Kind{Backoff}
		case r.Store:
			kinds = []Kind{Gone, Store}
		case len(r.Deliveries) > 1 && stuck[known.key]:
			kinds = []Kind{Apart, Single, Company}
		case len(r.Deliveries) > 1:
			kinds = []Kind{Gone, Apart, Single, Company}
		}
		v := Verdict{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		if v.Kind == Backoff || v.Kind == Store || v.Kind == Blocked || v.Kind == Apart {
			v.Until = s.now.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, 3 * time.Second}).Draw(t, "until"))
		}
		if v.Kind == Store {
			v.Given = "why"
		}
		verdicts[i] = v
		known.started, known.held, s.busy[known.key] = false, false, false
		switch {
		case v.Kind == Gone:
			s.settled(t, d.Message)
			continue
		case s.draining || known.claim.isOver():
			continue // it comes back
		}
		stuck[known.key] = true
		known.given, known.alone, known.until = v.Kind == Store, known.alone || v.Kind != Company, v.Until
	}
	s.m.Finish(s.now, &r.Attempt, verdicts...)
	for _, d := range r.Deliveries {
		s.of[d.Message].tried = d.History != nil
	}
}

// settled is the final verdict of a delivery.
func (s *model) settled(t *rapid.T, msg *message.Message) {
	known := s.of[msg]
	if known.final || known.started {
		t.Fatalf("settled, final %v, started %v", known.final, known.started)
	}
	known.final = true
	at := slices.Index(s.sent[known.key], known)
	s.sent[known.key] = slices.Delete(s.sent[known.key], at, at+1)
}

// check holds after every step: what comes back may, and the machine's counts are right.
func (s *model) check(t *rapid.T) {
	back := s.m.Back()
	for _, d := range back {
		if known := s.of[d.Message]; !s.draining && !known.claim.isOver() {
			t.Fatal("went back for no reason")
		}
		s.settled(t, d.Message)
	}
	s.m.Released(len(back))
	held, bytes := 0, 0
	for _, all := range s.sent {
		held += len(all)
		for _, d := range all {
			bytes += d.size
		}
	}
	if n, b := s.m.Held(); n-s.m.away != held || b != bytes {
		t.Fatalf("holds %d deliveries of %d bytes, want %d of %d", n, b, held, bytes)
	}
	s.m.verify(t)
}

// rush lets everything succeed, and time pass when nothing else happens.
func (s *model) rush(t *rapid.T) {
	for _, key := range slices.Sorted(maps.Keys(s.returned)) {
		for len(s.returned[key]) > 0 {
			s.readAgain(t, key)
		}
	}
	for range 10_000 {
		before := len(s.running)
		s.start(t)
		s.check(t)
		if len(s.running) > before {
			continue
		}
		if len(s.running) == 0 {
			due, there := s.m.Due(s.now)
			if !there {
				break
			}
			if due.Before(s.now) {
				t.Fatal("due, and does not start")
			}
			s.now = due
			continue
		}
		for _, r := range s.running {
			for _, d := range r.Deliveries {
				s.of[d.Message].started = false
				s.busy[s.of[d.Message].key] = false
				s.settled(t, d.Message)
			}
			s.m.End(s.now, &r.Attempt, Success, Asked{}, nil)
			s.guard = modelGuard{}
			s.m.Finish(s.now, &r.Attempt, make([]Verdict, len(r.Deliveries))...)
		}
		s.running = nil
		s.check(t)
	}
	if n, _ := s.m.Held(); n > 0 {
		t.Fatalf("%d deliveries are stranded", n)
	}
	if len(s.m.keys) > 0 || s.m.Busy() != 0 {
		t.Fatalf("%d keys and %d attempts at the end", len(s.m.keys), s.m.Busy())
	}
}

func play(t *rapid.T) {
	s := newModel(t)
	t.Repeat(map[string]func(*rapid.T){
		"":        s.check,
		"arrive":  s.arrive,
		"arrive2": s.arrive,
		"start":   s.start,
		"start2":  s.start,
		"end":     s.end,
		"finish":  s.finish,
		"finish2": s.finish,
		"time": func(t *rapid.T) {
			s.now = s.now.Add(rapid.SampledFrom([]time.Duration{time.Millisecond, 15 * time.Millisecond, time.Second, 5 * time.Second}).Draw(t, "passes"))
		},
		"pause": func(*rapid.T) {
			s.m.Pause(s.now)
			s.paused = true
		},
		"resume": func(*rapid.T) {
			s.m.Resume()
			s.paused = false
		},
		"let go": func(t *rapid.T) {
			accept := rapid.Bool().Draw(t, "accept")
			if s.m.LetGo(accept) {
				s.guard.held, s.guard.accepts = false, accept
			}
		},
		"retry now": func(t *rapid.T) {
			key := fmt.Sprint("k", rapid.IntRange(0, 4).Draw(t, "key"))
			s.m.RetryNow(s.now, func(d *Delivery) bool { return d.Key() == key })
			for _, d := range s.sent[key] {
				if !d.given {
					d.until = time.Time{}
				}
			}
		},
		"give back": s.giveBack,
		"read again": func(t *rapid.T) {
			s.readAgain(t, fmt.Sprint("k", rapid.IntRange(0, 4).Draw(t, "key")))
		},
		"claim ends": func(t *rapid.T) {
			i := rapid.IntRange(1, 2).Draw(t, "claim")
			s.m.EndClaim(s.now, s.claims[i])
			s.claims[i] = &Claim{}
		},
		"drain": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
				s.m.Drain(s.now)
				s.draining = true
			}
		},
	})
	s.m.Resume()
	s.paused = false
	s.rush(t)
}

// Whatever comes, in whatever order: a key has one attempt at a time and its deliveries
// keep their order, slots, rate, pauses, holds and batches have their bounds, what was given up is
// not attempted again, everything is settled once, and nothing is stranded.
func TestMachine(t *testing.T) { rapid.Check(t, play) }

func FuzzMachine(f *testing.F) { f.Fuzz(rapid.MakeFuzz(play)) }
