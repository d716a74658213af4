package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
)

// pickyPub stores what it is given but for what it refuses, as when one
// partition of a topic has no leader. It begins when it is told to: what a test
// sends before, behind those that occupy, gathers in one group.
type pickyPub struct {
	*fakePub
	begin  chan struct{}
	refuse func(topic, key string) bool
	away   atomic.Bool // what it refuses

	asked struct {
		sync.Mutex
		ids [][]string // of each publish on the destination's topic
	}
}

func (p *pickyPub) Publish(topic string, msgs ...*message.Message) error {
	<-p.begin
	if topic == DestinationTopic("d") {
		var ids []string
		for _, m := range msgs {
			ids = append(ids, m.UUID)
		}
		p.asked.Lock()
		p.asked.ids = append(p.asked.ids, ids)
		p.asked.Unlock()
	}
	var stored, failed []*message.Message
	for _, m := range msgs {
		if p.away.Load() && p.refuse(topic, m.Metadata.Get(infra.MetaKey)) {
			failed = append(failed, m)
		} else {
			stored = append(stored, m)
		}
	}
	if len(stored) == 0 {
		return errPlain
	}
	if err := p.fakePub.Publish(topic, stored...); err != nil || len(failed) == 0 {
		return err
	}
	return &infra.PublishError{Failed: failed, Err: errPlain}
}

// start lets it begin. All that was sent has arrived.
func (p *pickyPub) start() {
	synctest.Wait()
	close(p.begin)
}

// publishes are the ids of each publish on the destination's topic, without
// those that occupy.
func (p *pickyPub) publishes() [][]string {
	p.asked.Lock()
	defer p.asked.Unlock()
	return slices.DeleteFunc(slices.Clone(p.asked.ids), func(ids []string) bool { return strings.HasPrefix(ids[0], "w") })
}

type pickyBroker struct {
	*fakeBroker
	pub *pickyPub
}

func (b *pickyBroker) Publisher(infra.Durability) message.Publisher { return b.pub }

// newPickyRig runs destination d, whose publisher refuses what refuse says. The
// places of the transform stage are taken.
func newPickyRig(t *testing.T, refuse func(topic, key string) bool, d Destination) (*rig, *pickyPub) {
	t.Helper()
	r := &rig{T: t, broker: &fakeBroker{pub: &fakePub{}, subs: map[string]*chanSub{}}, registry: prometheus.NewRegistry()}
	pub := &pickyPub{fakePub: r.broker.pub, begin: make(chan struct{}), refuse: refuse}
	pub.away.Store(true)
	m, err := metrics.New(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	if r.pipeline, err = New(Config{Broker: &pickyBroker{r.broker, pub}, Destinations: []Destination{d}, Metrics: m}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.pipeline.Run(context.Background()) }()
	if err := r.pipeline.Running(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.pipeline.Drain(context.Background()), r.pipeline.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	for n := range transformGrouping.AtOnce {
		r.accept(fmt.Sprint("w", n), fmt.Sprint("w", n, "-0"))
	}
	return r, pub
}

// accept puts an event on the events topic.
func (r *rig) accept(key, id string) *message.Message {
	m := record(key, id)
	r.broker.subs[TransformGroup("d")].ch <- m
	return m
}

// acceptEach puts the first event of a number of users there: k0-0, k1-0 and so on.
func (r *rig) acceptEach(users int) []*message.Message {
	msgs := make([]*message.Message, users)
	for n := range msgs {
		msgs[n] = r.accept(fmt.Sprint("k", n), fmt.Sprint("k", n, "-0"))
	}
	return msgs
}

// stored is how often each event is on the destination's topic. Each user's
// events are there in order, each once.
func (r *rig) stored() map[string]int {
	r.Helper()
	var ids []string
	times := map[string]int{}
	for _, m := range r.broker.pub.of(DestinationTopic("d")) {
		ids = append(ids, m.UUID)
		times[m.UUID]++
	}
	inOrder(r.T, [][]string{ids})
	return times
}

func wantVerdicts(tb testing.TB, msgs []*message.Message, want string) {
	tb.Helper()
	for _, m := range msgs {
		wantVerdict(tb, m, want)
	}
}

func onTopicOfD(key string) func(topic, of string) bool {
	return func(topic, of string) bool { return topic == DestinationTopic("d") && strings.HasPrefix(of, key) }
}

// A group of which one message could not be stored was stored again as a whole,
// ten times a second, until that one could: each of the other users' events was
// delivered as often, and his partition's outage was everybody's.
func TestGroupIsStoredInPart(t *testing.T) {
	run(t, func(t *testing.T) {
		r, pub := newPickyRig(t, onTopicOfD("k3"), Destination{Destination: &funcDest{id: "d"}})
		msgs := r.acceptEach(10)
		behind := r.accept("k3", "k3-1")
		pub.start()
		elapse(10 * time.Second)
		if got := pub.publishes(); len(got) == 0 || len(got[0]) != 10 {
			t.Errorf("the ten were not one group: %v", got)
		}
		away, others := []*message.Message{msgs[3], behind}, slices.Delete(slices.Clone(msgs), 3, 4)
		wantVerdicts(t, others, "acked")
		wantVerdicts(t, away, "")
		later := r.accept("k5", "k5-1")
		elapse(time.Second)
		wantVerdict(t, later, "acked")
		if got := r.stored(); len(got) != transformGrouping.AtOnce+10 {
			t.Errorf("stored while one cannot be: %v", got)
		}

		pub.away.Store(false)
		elapse(time.Second)
		wantVerdicts(t, away, "acked")
		if got := r.stored(); got["k3-0"] != 1 || got["k3-1"] != 1 || len(got) != transformGrouping.AtOnce+12 {
			t.Errorf("stored in the end: %v", got)
		}
	})
}

// The broker took none of a group: it stays together, for to take it apart would
// be a publish for each event when the broker is back. What of it was skipped
// is counted once, however often it is tried.
func TestGroupThatCannotBeStoredIsTriedWhole(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &funcDest{id: "d", transform: func(e destinations.Event) (destinations.Payload, error) {
			if strings.HasPrefix(e.Key, "unwanted") {
				return destinations.Payload{}, destinations.ErrSkip
			}
			return destinations.Payload{Body: e.Data}, nil
		}}
		r, pub := newPickyRig(t, onTopicOfD("k"), Destination{Destination: d})
		msgs := r.acceptEach(5)
		skipped := []*message.Message{r.accept("unwanted1", "unwanted1-0"), r.accept("unwanted2", "unwanted2-0")}
		pub.start()
		elapse(10 * time.Second)
		wantVerdicts(t, append(skipped, msgs...), "")
		pub.away.Store(false)
		elapse(time.Second)
		wantVerdicts(t, append(skipped, msgs...), "acked")
		r.stored()
		tries := pub.publishes()
		if len(tries) < 10 {
			t.Errorf("tried %d times in ten seconds", len(tries))
		}
		for _, ids := range tries {
			if len(ids) != 5 {
				t.Errorf("tried in part: %v", ids)
			}
		}
		if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Skipped}); n != 2 {
			t.Errorf("%v counted as skipped, want 2", n)
		}
	})
}

// Four groups, all of them for a partition that is away, had all the places:
// nobody's events were stored until it was back. With little to do each event is
// a group of its own, and four of them are enough.
func TestGroupsThatCannotBeStoredHoldNobodyElse(t *testing.T) {
	run(t, func(t *testing.T) {
		r, pub := newPickyRig(t, onTopicOfD("w"), Destination{Destination: &funcDest{id: "d"}}) // those that occupy
		msgs := r.acceptEach(10)
		pub.start()
		elapse(10 * time.Second)
		wantVerdicts(t, msgs, "acked")
		wantVerdict(t, r.accept("w0", "w0-1"), "")
		pub.away.Store(false)
		elapse(time.Second)
		if got := r.stored(); len(got) != transformGrouping.AtOnce+11 {
			t.Errorf("stored in the end: %v", got)
		}
	})
}

// newFailing is a destination that fails to transform event k3-0.
func newFailing() *funcDest {
	return &funcDest{id: "d", transform: func(e destinations.Event) (destinations.Payload, error) {
		if e.ID == "k3-0" {
			return destinations.Payload{}, errPlain
		}
		return destinations.Payload{Body: e.Data}, nil
	}}
}

func poisonOfD(topic, _ string) bool { return topic == PoisonTopic("d") }

// One event failed its transformation while the poison queue could not be
// written. The others of its group were stored and held all the same, for as
// long as that took.
func TestPoisonQueueAwayHoldsNobodyElse(t *testing.T) {
	run(t, func(t *testing.T) {
		r, pub := newPickyRig(t, poisonOfD, Destination{Destination: newFailing()})
		msgs := r.acceptEach(20)
		behind := r.accept("k3", "k3-1")
		pub.start()
		elapse(time.Minute)
		bad, good := []*message.Message{msgs[3], behind}, slices.Delete(slices.Clone(msgs), 3, 4)
		wantVerdicts(t, good, "acked")
		wantVerdicts(t, bad, "")
		later := r.accept("k5", "k5-1")
		elapse(time.Second)
		wantVerdict(t, later, "acked")

		pub.away.Store(false)
		elapse(time.Minute)
		wantVerdicts(t, bad, "acked")
		if got := r.poisoned("d"); len(got) != 1 || got[0].EventID != "k3-0" || got[0].Stage != stageTransform {
			t.Errorf("poisoned %+v, want k3-0 alone", got)
		}
		times := map[string]int{}
		for _, m := range r.broker.pub.of(DestinationTopic("d")) {
			times[m.UUID]++
		}
		for _, m := range append(good, behind, later) {
			if times[m.UUID] != 1 {
				t.Errorf("%s is stored %d times", m.UUID, times[m.UUID])
			}
		}
	})
}

// A stop meanwhile sent the whole group back, and what was stored of it came
// again after the restart.
func TestDrainWhileThePoisonQueueIsAway(t *testing.T) {
	run(t, func(t *testing.T) {
		r, pub := newPickyRig(t, poisonOfD, Destination{Destination: newFailing()})
		msgs := r.acceptEach(20)
		pub.start()
		elapse(time.Minute)
		if err := r.pipeline.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		wantVerdict(t, msgs[3], "nacked")
		wantVerdicts(t, slices.Delete(slices.Clone(msgs), 3, 4), "acked")
		if got := r.stored(); len(got) != transformGrouping.AtOnce+19 {
			t.Errorf("stored: %v", got)
		}
	})
}

// One user's event took half a minute to transform, and the others of its group
// waited for it.
func TestSlowTransformHoldsNobodyElse(t *testing.T) {
	for name, at := range map[string]int{"first of its group": 0, "in the middle": 10, "last": 19} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				slow := fmt.Sprint("k", at)
				d := &funcDest{id: "d", transform: func(e destinations.Event) (destinations.Payload, error) {
					if e.Key == slow {
						<-time.After(30 * time.Second)
					}
					return destinations.Payload{Body: e.Data}, nil
				}}
				r, pub := newPickyRig(t, onTopicOfD("nobody"), Destination{Destination: d})
				msgs := r.acceptEach(20)
				behind := r.accept(slow, slow+"-1")
				pub.start()
				elapse(time.Second)
				late, others := []*message.Message{msgs[at], behind}, slices.Delete(slices.Clone(msgs), at, at+1)
				wantVerdicts(t, others, "acked")
				wantVerdicts(t, late, "")
				elapse(5 * time.Minute)
				wantVerdicts(t, late, "acked")
				if got := r.stored(); len(got) != transformGrouping.AtOnce+21 {
					t.Errorf("stored: %v", got)
				}
			})
		})
	}
}

// What a group's transformation came to goes with the events that come apart.
// Each was checked and transformed again, and a schema's violations counted
// twice.
func TestGroupIsCheckedOnce(t *testing.T) {
	run(t, func(t *testing.T) {
		var mu sync.Mutex
		inputs, transforms, outputs := map[string]int{}, map[string]int{}, map[string]int{}
		count := func(of map[string]int, id string) {
			mu.Lock()
			of[id]++
			mu.Unlock()
		}
		d := &funcDest{id: "d", transform: func(e destinations.Event) (destinations.Payload, error) {
			count(transforms, string(e.Data))
			return destinations.Payload{Body: e.Data}, nil
		}}
		refuse := func(topic, key string) bool { return poisonOfD(topic, key) || onTopicOfD("k3")(topic, key) }
		r, pub := newPickyRig(t, refuse, Destination{Destination: d, OutputType: "out",
			Input: func(_ context.Context, _ string, data []byte) (string, error) {
				count(inputs, string(data))
				if strings.Contains(string(data), "k4-") {
					return "", errPlain
				}
				return "", nil
			},
			Output: func(_ context.Context, _ string, data []byte) (string, error) {
				count(outputs, string(data))
				return "", nil
			},
		})
		msgs := r.acceptEach(6)
		pub.start()
		elapse(time.Minute)
		for n, want := range []string{"acked", "acked", "acked", "", "", "acked"} {
			wantVerdict(t, msgs[n], want)
		}
		pub.away.Store(false)
		elapse(time.Minute)
		wantVerdicts(t, msgs, "acked")
		for n, m := range msgs {
			want := 1
			if n == 4 {
				want = 0 // it did not pass
			}
			id := string(m.Payload)
			if inputs[id] != 1 || transforms[id] != want || outputs[id] != want {
				t.Errorf("%s: %d input checks, %d transformations, %d output checks", id, inputs[id], transforms[id], outputs[id])
			}
		}
		if got := r.poisoned("d"); len(got) != 1 || got[0].EventID != "k4-0" || got[0].Reason != metrics.ReasonSchema {
			t.Errorf("poisoned %+v, want k4-0 alone", got)
		}
	})
}

// A batch that was told to come again in ten minutes waited in its place: with
// one attempt at a time nobody else was delivered for ten minutes. Its events
// wait for themselves, and no less than they were told.
func TestBackoffOfABatchHoldsNobodyElse(t *testing.T) {
	const wait = 10 * time.Minute
	run(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		at := map[string][]time.Duration{}
		d := newBatchDest(func(ids []string) error {
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				at[id] = append(at[id], time.Since(began))
			}
			if slices.Equal(ids, []string{"k0-0", "k1-0"}) {
				return destinations.RetryAfter(errPlain, wait)
			}
			return nil
		})
		r := newRig(t, Destination{Destination: d, Concurrency: 1, Batch: Batch{MaxEvents: 2}})
		r.send(2, 1)
		elapse(time.Second)
		behind := r.deliver("d", "k0", "k0-1")
		others := append(r.deliver("d", "x", "x-0"), r.deliver("d", "y", "y-0")...)
		elapse(time.Second)
		wantVerdicts(t, others, "acked")
		wantVerdicts(t, behind, "")
		elapse(wait / 2)
		wantVerdicts(t, behind, "")
		elapse(wait)
		wantVerdicts(t, behind, "acked")
		mu.Lock()
		defer mu.Unlock()
		for _, id := range []string{"k0-0", "k1-0"} {
			if when := at[id]; len(when) != 2 || when[1]-when[0] < wait {
				t.Errorf("%s was attempted at %v, want twice, %v apart", id, when, wait)
			}
		}
		if first, next := at["k0-0"], at["k0-1"]; len(next) != 1 || next[0] < first[len(first)-1] {
			t.Errorf("k0-1 was attempted at %v, k0-0 at %v", next, first)
		}
	})
}

// attemptsDest notes which attempt each delivery is said to be.
type attemptsDest struct {
	*batchDest
	attempts sync.Map // event id to []int
}

func (d *attemptsDest) DeliverBatch(ctx context.Context, ds []destinations.Delivery) error {
	for _, one := range ds {
		before, _ := d.attempts.LoadOrStore(one.EventID, []int(nil))
		d.attempts.Store(one.EventID, append(before.([]int), one.Attempt))
	}
	return d.batchDest.DeliverBatch(ctx, ds)
}

// The first attempt of an event that found no company was said to be its
// second, because its group of one had come apart.
func TestAttemptNumberOfABatch(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &attemptsDest{batchDest: newBatchDest(func(ids []string) error {
			if len(ids) > 1 {
				return errPlain
			}
			return nil
		})}
		r := newRig(t, Destination{Destination: d, Batch: Batch{MaxEvents: 2}})
		wantVerdicts(t, r.deliver("d", "alone", "alone-0"), "")
		elapse(time.Second)
		r.send(2, 1)
		elapse(time.Minute)
		for id, want := range map[string]string{"alone-0": "[1]", "k0-0": "[1 2]", "k1-0": "[1 2]"} {
			if got, _ := d.attempts.Load(id); fmt.Sprint(got) != want {
				t.Errorf("attempts of %s: %v, want %s", id, got, want)
			}
		}
	})
}

// A record that cannot be decoded left its batch, and the same user's next event
// was delivered in it: before it was known what became of the first one.
func TestUndecodableIsNotOvertaken(t *testing.T) {
	run(t, func(t *testing.T) {
		var r *rig
		d := newBatchDest(func(ids []string) error {
			if slices.Contains(ids, "u-1") && len(r.poisoned("d")) == 0 {
				t.Error("u-1 came before anything had become of u-0")
			}
			return nil
		})
		r = newRig(t, Destination{Destination: d, Batch: Batch{MaxEvents: 5, MaxWait: time.Second}})
		in := r.broker.subs[DeliverGroup("d")].ch
		bad := delivery("u", "u-0")
		bad.Metadata.Set(hSequence, "no number")
		msgs := []*message.Message{bad, delivery("u", "u-1"), delivery("v", "v-0"), delivery("u", "u-2"), delivery("x", "x-0")}
		for _, m := range msgs {
			in <- m
		}
		elapse(time.Minute)
		wantVerdicts(t, msgs, "acked")
		if got := d.seen(); fmt.Sprint(got) != "[[v-0 x-0] [u-1] [u-2]]" {
			t.Errorf("delivered %v", got)
		}
		if got := r.poisoned("d"); len(got) != 1 || got[0].Reason != metrics.ReasonUndecodable {
			t.Errorf("poisoned %+v", got)
		}
	})
}

// A partition was taken away while its messages were in a group that waited for
// a place. They had no verdict until there was one, and the partition's next
// owner waited for that.
func TestGroupBehindATakenPlaceGoesBack(t *testing.T) {
	for name, most := range map[string]int{"sealed": 3, "open": 10} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				sub := newChanSub()
				o := NewOrdered(sub, Grouping{MaxEvents: most, AtOnce: 1})
				out, err := o.Subscribe(t.Context(), "topic")
				if err != nil {
					t.Fatal(err)
				}
				revoked, revoke := context.WithCancel(t.Context())
				defer revoke()
				sub.ch <- record("k0", "0")
				first := <-out // takes the only place
				gone := []*message.Message{within(revoked, record("k1", "1")), within(revoked, record("k2", "2")), within(revoked, record("k1", "5"))}
				kept := []*message.Message{record("k3", "3"), record("k1", "4")} // and one that waits behind
				for _, m := range append(slices.Clone(gone), kept...) {
					sub.ch <- m
				}
				synctest.Wait()
				wantVerdicts(t, gone, "")
				revoke()
				synctest.Wait()
				wantVerdicts(t, gone, "nacked")
				wantVerdicts(t, kept, "")
				if s := o.State(); s.Held != 3 {
					t.Errorf("%d are held, want 3", s.Held)
				}

				first.Ack()
				var came []string
				for len(came) < len(kept) {
					msg := <-out
					for _, m := range groupOf(msg).members {
						came = append(came, m.msg.UUID)
					}
					msg.Ack()
				}
				slices.Sort(came)
				if !slices.Equal(came, []string{"3", "4"}) {
					t.Errorf("handed out: %v", came)
				}
				synctest.Wait()
				wantVerdicts(t, kept, "acked")
				if err := o.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
