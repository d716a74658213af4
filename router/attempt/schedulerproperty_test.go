package attempt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"pgregory.net/rapid"

	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/router/routertest"
	"eventserver/router/schedule"
)

// schedulerRun is one run of TestSchedulerProperty: messages of two claims, handlers
// whose attempts succeed, fail, come apart and take their time by chance, and perhaps a
// claim that ends or a drain in the middle.
type schedulerRun struct {
	d        schedule.Config
	seed     uint64
	messages int
	keys     int
	endsAt   time.Duration // of the first claim; 0: never
	drainsAt time.Duration // 0: never
	chance   float64       // of a failure, and of a member that comes apart

	sent           [][]*message.Message
	mu             sync.Mutex
	rnd            *rand.Rand
	busy           map[string]bool
	running        int
	done           map[string][]string
	batches, parts int
	err            error
}

func (r *schedulerRun) fault(format string, args ...any) {
	r.err = errors.Join(r.err, fmt.Errorf(format, args...))
}

// attempt is the handler.
func (r *schedulerRun) attempt(msg *message.Message) ([]*message.Message, error) {
	a := attemptOf(msg.Context())
	r.mu.Lock()
	mine := map[string]bool{}
	bytes := 0
	for _, d := range a.Deliveries {
		if r.busy[d.Key()] && !mine[d.Key()] {
			r.fault("%s is in the handler twice", d.Key())
		}
		r.busy[d.Key()], mine[d.Key()] = true, true
		bytes += len(d.Message.Payload)
	}
	if r.running++; r.running > r.d.Concurrency {
		r.fault("%d attempts at once", r.running)
	}
	if n := len(a.Deliveries); n > 1 {
		r.batches++
		if n > r.d.Batch.MaxEvents || bytes > r.d.Batch.MaxBytes {
			r.fault("a batch of %d messages and %d bytes", n, bytes)
		}
	}
	fails, wait := r.rnd.Float64() < r.chance, time.Duration(r.rnd.IntN(20))*time.Millisecond
	r.mu.Unlock()
	<-time.After(wait)
	r.mu.Lock()
	defer r.mu.Unlock()
	stuck := map[string]bool{} // keys of which one came apart
	for i, d := range a.Deliveries {
		if fails {
			continue
		}
		if len(a.Deliveries) > 1 && (stuck[d.Key()] || r.rnd.Float64() < r.chance) {
			a.verdict(i, schedule.Verdict{Kind: schedule.Apart, Until: time.Now().Add(wait)})
			stuck[d.Key()] = true
			r.parts++
			continue
		}
		r.done[d.Key()] = append(r.done[d.Key()], d.Message.UUID)
	}
	for key := range mine {
		delete(r.busy, key)
	}
	r.running--
	switch {
	case !fails:
		return nil, nil
	case wait%2 == 0:
		return nil, &again{until: time.Now().Add(wait), err: routertest.ErrPlain}
	default:
		return nil, routertest.ErrPlain
	}
}

func (r *schedulerRun) play(t *testing.T) {
	r.rnd = rand.New(rand.NewPCG(r.seed, 1))
	r.busy, r.done, r.sent = map[string]bool{}, map[string][]string{}, make([][]*message.Message, r.keys)
	sub := routertest.NewChanSub()
	s, out := schedulerOf(t, sub, r.d)
	claims := [2]context.Context{}
	var end context.CancelFunc
	claims[0], end = context.WithCancel(context.Background())
	defer end()
	claims[1] = context.Background()
	handler := s.verdict(r.attempt)
	var handlers sync.WaitGroup
	handlers.Go(func() {
		for msg := range out {
			handlers.Go(func() { _, _ = handler(msg) })
		}
	})
	if r.endsAt > 0 {
		time.AfterFunc(r.endsAt, end)
	}
	if r.drainsAt > 0 {
		time.AfterFunc(r.drainsAt, func() {
			if err := s.Drain(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	arrivals := rand.New(rand.NewPCG(r.seed, 2))
	for n := range r.messages {
		k := arrivals.IntN(r.keys)
		m := routertest.Within(claims[k%2], routertest.Record(fmt.Sprint("k", k), fmt.Sprintf("k%d/%03d", k, n)))
		m.Payload = make([]byte, arrivals.IntN(40))
		r.sent[k] = append(r.sent[k], m)
		sub.Ch <- m
		if arrivals.IntN(4) == 0 {
			<-time.After(time.Duration(arrivals.IntN(5)) * time.Millisecond)
		}
	}
	routertest.Elapse(time.Hour)
	if now := s.State(); now.Held != 0 || len(now.Blocked) != 0 {
		r.fault("at the end %d are held and %v blocked", now.Held, now.Blocked)
	}
	for k, sent := range r.sent {
		key := fmt.Sprint("k", k)
		var acked, all []string
		for _, m := range sent {
			all = append(all, m.UUID)
			switch routertest.Verdict(m) {
			case "":
				r.fault("%s has no verdict", m.UUID)
			case "acked":
				acked = append(acked, m.UUID)
			}
		}
		whole := r.drainsAt == 0 && (r.endsAt == 0 || k%2 == 1)
		if whole && len(acked) != len(sent) {
			r.fault("%s: %d of %d acked", key, len(acked), len(sent))
		}
		if got := strings.Join(r.done[key], " "); got != strings.Join(acked, " ") || !strings.HasPrefix(strings.Join(all, " "), got) {
			r.fault("%s: done %v, acked %v of %v", key, r.done[key], acked, all)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	handlers.Wait()
	synctest.Wait()
}

// Whatever handlers do, a key is in one attempt at a time, what is done of it is
// a beginning of what came, each once and in order, what is acked is what was
// done, and everything gets a verdict.
func TestSchedulerProperty(t *testing.T) {
	batches, parts := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		r := &schedulerRun{
			d: schedule.Config{
				Concurrency: rapid.IntRange(1, 4).Draw(rt, "concurrency"), Rate: RateLimit{PerSecond: rapid.SampledFrom([]float64{0, 0, 1000}).Draw(rt, "rate")},
				Batch: Batch{MaxEvents: rapid.SampledFrom([]int{0, 1, 2, 6}).Draw(rt, "max events"), MaxBytes: 60, MaxWait: 7 * time.Millisecond},
			},
			seed: rapid.Uint64().Draw(rt, "seed"), messages: rapid.IntRange(1, 120).Draw(rt, "messages"), keys: rapid.IntRange(1, 12).Draw(rt, "keys"),
			endsAt:   rapid.SampledFrom([]time.Duration{0, 0, 11 * time.Millisecond, 55 * time.Millisecond}).Draw(rt, "claim ends at"),
			drainsAt: rapid.SampledFrom([]time.Duration{0, 0, 0, 33 * time.Millisecond}).Draw(rt, "drains at"),
			chance:   rapid.SampledFrom([]float64{0, 0.1, 0.3}).Draw(rt, "chance"),
		}
		synctest.Test(t, r.play)
		batches, parts = batches+r.batches, parts+r.parts
		if r.err != nil {
			rt.Fatal(r.err)
		}
	})
	if batches == 0 || parts == 0 {
		t.Errorf("%d batches, %d came apart: nothing was shown", batches, parts)
	}
}

// ledger is what came of each key, from all members of a group.
type ledger struct {
	mu       sync.Mutex
	next     map[string]int  // first number of the key that has not come
	busy     map[string]bool // keys that a member attempts
	done     map[string]int  // first number of the key whose attempt has not succeeded
	ended    int             // events whose attempt has
	attempts int             // one in 17 is said to have failed
	overtook []string
	wanted   int
	all      chan struct{} // closed when all have ended: what is to be attempted again goes back at a stop
}

func (l *ledger) attempt(msg *message.Message) ([]*message.Message, error) {
	a := attemptOf(msg.Context())
	mine := map[string]bool{}
	for _, d := range a.Deliveries {
		l.mu.Lock()
		if l.busy[d.Key()] && !mine[d.Key()] {
			l.overtook = append(l.overtook, d.Key()+" is attempted twice at once")
		}
		l.busy[d.Key()], mine[d.Key()] = true, true
		n, _ := strconv.Atoi(string(d.Message.Payload))
		switch next := l.next[d.Key()]; {
		case n > next:
			l.overtook = append(l.overtook, fmt.Sprintf("%s: %d came when %d was due", d.Key(), n, next))
		case n == next:
			l.next[d.Key()]++
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range mine {
		delete(l.busy, key)
	}
	if l.attempts++; l.attempts%17 == 0 {
		return nil, &again{until: time.Now().Add(time.Millisecond), err: routertest.ErrPlain}
	}
	for _, d := range a.Deliveries {
		if n, _ := strconv.Atoi(string(d.Message.Payload)); n == l.done[d.Key()] {
			l.done[d.Key()]++
			if l.ended++; l.ended == l.wanted {
				close(l.all)
			}
		}
	}
	return nil, nil
}

// Members come and go, drained or not, while events are delivered: each user's come in
// their order, and all of them.
func TestOrderHoldsWhileMembersComeAndGo(t *testing.T) {
	const users, each, restarts = 40, 60, 30
	b := inmemory.Open(t, 4, pubsub.Config{})
	if err := b.EnsureTopics(t.Context(), infra.Topic{Name: "topic"}); err != nil {
		t.Fatal(err)
	}
	l := &ledger{next: map[string]int{}, busy: map[string]bool{}, done: map[string]int{}, wanted: users * each, all: make(chan struct{})}
	var handlers sync.WaitGroup
	begin := func(i int) *Scheduler {
		sub, err := b.Subscriber("group", infra.SubscriberConfig{Receipts: true})
		if err != nil {
			t.Fatal(err)
		}
		d := schedule.Config{Concurrency: 8}
		if i%3 == 0 {
			d.Batch = Batch{MaxEvents: 5, MaxWait: time.Millisecond}
		}
		s := NewScheduler(sub, withDefaults(d), false, time.Minute, routertest.Discard)
		out, err := s.Subscribe(t.Context(), "topic")
		if err != nil {
			t.Fatal(err)
		}
		handler := s.verdict(l.attempt)
		handlers.Go(func() {
			for msg := range out {
				handlers.Go(func() { _, _ = handler(msg) })
			}
		})
		return s
	}
	end := func(s *Scheduler, drained bool) {
		if drained {
			if err := s.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	members := []*Scheduler{begin(0), begin(1), begin(2)}
	pub := b.Publisher(infra.Durable)
	for n := range each {
		var msgs []*message.Message
		for u := range users {
			m := message.NewMessage(fmt.Sprint("u", u, "-", n), []byte(strconv.Itoa(n)))
			m.Metadata.Set(infra.MetaKey, fmt.Sprint("u", u))
			msgs = append(msgs, m)
		}
		if err := pub.Publish("topic", msgs...); err != nil {
			t.Fatal(err)
		}
		if n%(each/restarts) == 0 {
			i := n % len(members)
			end(members[i], n%4 == 0)
			members[i] = begin(n)
		}
	}
	<-l.all
	for _, s := range members {
		end(s, true)
	}
	handlers.Wait()
	for _, fault := range l.overtook {
		t.Error(fault)
	}
	if lag, err := infra.LagOf(t.Context(), b, "group", "topic"); err != nil || lag != 0 {
		t.Errorf("%d are not done: %v", lag, err)
	}
}
