package explain

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/metrics"
	"eventserver/router"
	"eventserver/router/attempt"
	"eventserver/router/record"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// receiver is a destination that a test answers for.
type receiver struct {
	id      string
	answers func(d destinations.Delivery) error // nil: takes all

	mu  sync.Mutex
	got map[string]int // by event id
}

func (r *receiver) ID() string { return r.id }
func (r *receiver) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	switch e.Type {
	case "skipped":
		return destinations.Payload{}, destinations.ErrSkip
	case "broken":
		return destinations.Payload{}, errors.New("field x is missing")
	}
	return destinations.Payload{ContentType: "application/json", Body: e.Data}, nil
}
func (r *receiver) Deliver(_ context.Context, d destinations.Delivery) error {
	if r.answers != nil {
		if err := r.answers(d); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.got == nil {
		r.got = map[string]int{}
	}
	r.got[d.EventID]++
	return nil
}

func (r *receiver) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[id] > 0
}

// rig is a pipeline on a broker in memory.
type rig struct {
	*testing.T
	broker   infra.Broker
	pipeline *router.Pipeline
	explain  *Explainer
	stop     func()

	byPartition bool
}

func newRig(t *testing.T, dests ...router.Destination) *rig {
	t.Helper()
	b := inmemory.Open(t, 3, pubsub.Config{ReleaseTimeout: time.Second})
	r := &rig{T: t, broker: b}
	r.run(dests...)
	t.Cleanup(r.stop)
	return r
}

// run runs a pipeline until stop.
func (r *rig) run(dests ...router.Destination) {
	r.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	require.NoError(r, err)
	r.pipeline, err = router.New(router.Config{Broker: r.broker, Destinations: dests, Metrics: m, Unordered: r.byPartition})
	require.NoError(r, err)
	require.NoError(r, r.broker.EnsureTopics(r.Context(), r.pipeline.Topics()...))
	ended := make(chan error, 1)
	p := r.pipeline
	go func() { ended <- p.Run(context.Background()) }()
	require.NoError(r, p.Running(r.Context()))
	r.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_ = p.Drain(ctx) // a test may hold an attempt
		assert.NoError(r, p.Close())
		<-ended
	})
	r.explain, err = New(Config{Reader: r.broker, Groups: r.broker, Live: p, Destinations: p.Configured, ByPartition: r.byPartition})
	require.NoError(r, err)
}

// publish accepts events of a key and returns their ids.
func (r *rig) publish(key, typ string, n int) (ids []string) {
	r.Helper()
	for range n {
		id := ulid.Make().String()
		r.store(id, key, typ)
		ids = append(ids, id)
	}
	return ids
}

func (r *rig) store(id, key, typ string) {
	r.Helper()
	e := destinations.Event{ID: id, Key: key, Type: typ, ReceivedAt: time.Now(), ContentType: "application/json", Data: []byte(`{}`)}
	require.NoError(r, r.broker.Publisher(infra.Durable).Publish(record.EventsTopic, record.EncodeEvent(e)))
}

func (r *rig) ask(id string) DestinationExplanation {
	r.Helper()
	out, err := r.explain.Explain(r.Context(), Question{ID: id, Destination: "d"})
	require.NoError(r, err)
	require.Len(r, out.Destinations, 1)
	return out.Destinations[0]
}

// await asks until the event is in a state.
func (r *rig) await(id, state string) DestinationExplanation {
	r.Helper()
	var d DestinationExplanation
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(2 * time.Millisecond) {
		if d = r.ask(id); d.State == state {
			return d
		}
	}
	r.Fatalf("the event is never in state %s, but %+v", state, d)
	return d
}

func TestDelivered(t *testing.T) {
	d := &receiver{id: "d"}
	r := newRig(t, router.Destination{Destination: d, Kind: "test"})
	before := time.Now()
	id := r.publish("u1", "t", 1)[0]
	got := r.await(id, StateDelivered)
	assert.WithinRange(t, got.DeliveredAt, before, time.Now())
	assert.Equal(t, 1, got.Attempts)
	assert.Len(t, got.Records, 1)
	assert.Empty(t, got.Do)
	assert.True(t, d.has(id))
	out, err := r.explain.Explain(t.Context(), Question{ID: id})
	require.NoError(t, err)
	require.Len(t, out.Accepted, 1)
	assert.Equal(t, record.EventsTopic, out.Accepted[0].Topic)
	assert.Equal(t, "u1", out.Accepted[0].Key)
	assert.Equal(t, "t", out.Accepted[0].Type)
	assert.WithinRange(t, out.Accepted[0].Received, before, time.Now())
	r.stop() // another process, which remembers nothing
	r.run(router.Destination{Destination: d, Kind: "test"})
	got = r.await(id, StateDelivered)
	assert.True(t, got.DeliveredAt.IsZero())
	assert.Contains(t, got.Why, "not known any more")
}

// No attempt is spent on a destination that is down: the poison queue is no threat.
func TestRetryThatSpendsNothing(t *testing.T) {
	down := destinations.Unavailable(errors.New("answer 503"))
	d := &receiver{id: "d", answers: func(destinations.Delivery) error { return down }}
	r := newRig(t, router.Destination{Destination: d, Retry: attempt.Retry{Initial: time.Hour, Max: time.Hour, Attempts: 7}})
	v := r.await(r.publish("u1", "t", 1)[0], StateRetrying)
	assert.Contains(t, v.Why, "attempt 1 failed (answer 503), 0 of 7 count against it")
	assert.Contains(t, v.Do, "fix the receiver")
	assert.NotContains(t, v.Do, "poison queue")
}

func TestWaitingBehindARetry(t *testing.T) {
	d := &receiver{id: "d", answers: func(destinations.Delivery) error { return errors.New("answer 500") }}
	r := newRig(t, router.Destination{Destination: d, Retry: attempt.Retry{Initial: time.Hour, Max: time.Hour, Attempts: 7}})
	ids := r.publish("u1", "t", 3)
	first := r.await(ids[0], StateRetrying)
	assert.Equal(t, 1, first.Attempts)
	assert.Equal(t, 7, first.Limit)
	assert.Equal(t, "answer 500", first.LastAnswer)
	assert.False(t, first.Next.IsZero())
	assert.Contains(t, first.Why, "attempt 1 of 7 failed (answer 500); the next is at "+clock(first.Next))
	assert.Contains(t, first.Do, "it goes to the poison queue when its attempts are spent")
	require.Eventually(t, func() bool { return r.ask(ids[2]).Behind != nil && r.ask(ids[2]).Ahead == 2 }, 10*time.Second, time.Millisecond)
	third := r.ask(ids[2])
	assert.Equal(t, StateWaiting, third.State)
	assert.Equal(t, ids[0], third.Behind.EventID)
	assert.Equal(t, metrics.WaitBackoff, third.Behind.Reason)
	assert.Equal(t, first.Next, third.Behind.Next.UTC())
	assert.Contains(t, third.Why, "behind event "+ids[0])

	// From the broker alone the same, without what only the scheduler knows.
	var err error
	r.explain, err = New(Config{Reader: r.broker, Groups: r.broker, Destinations: r.pipeline.Configured})
	require.NoError(t, err)
	third = r.ask(ids[2])
	assert.Equal(t, StateWaiting, third.State)
	require.NotNil(t, third.Behind)
	assert.Equal(t, ids[0], third.Behind.EventID)
	assert.EqualValues(t, 2, third.Ahead)
	assert.NotEmpty(t, third.Owner)
	assert.Equal(t, StateWaiting, r.ask(ids[0]).State)
}

// With ordering by partition it was said to be the first of its user that had not
// been read yet: neither behind what it waited, nor until when.
func TestWaitingBehindItsPartition(t *testing.T) {
	d := &receiver{id: "d", answers: func(d destinations.Delivery) error {
		if d.Key == "u1" {
			return errors.New("answer 500")
		}
		return nil
	}}
	b := inmemory.Open(t, 1, pubsub.Config{PartitionOrder: true, ReleaseTimeout: time.Second})
	r := &rig{T: t, broker: b, byPartition: true}
	r.run(router.Destination{Destination: d, Retry: attempt.Retry{Initial: time.Hour, Max: time.Hour, Attempts: 7}})
	t.Cleanup(r.stop)
	head, other := r.publish("u1", "t", 1)[0], r.publish("u2", "t", 2)[1]
	first := r.await(head, StateRetrying)
	got := r.await(other, StateWaiting)
	require.NotNil(t, got.Behind)
	assert.Equal(t, head, got.Behind.EventID)
	assert.Equal(t, first.Next, got.Behind.Next.UTC())
	assert.EqualValues(t, 2, got.Ahead)
	assert.Contains(t, got.Why, "it waits behind event "+head+" of the same partition: attempt 1 of 7 failed (answer 500); the next is at ")
	var err error
	r.explain, err = New(Config{Reader: r.broker, Groups: r.broker, Destinations: r.pipeline.Configured, ByPartition: true})
	require.NoError(t, err)
	got = r.ask(other)
	assert.Contains(t, got.Why, "it waits behind event "+head+" of the same partition, which is not done (2 events of this partition before it)")
	assert.Equal(t, "eventserver explain "+head+" --destination d --key u1", got.Do)
}

func TestAttemptPausedBreaker(t *testing.T) {
	began, verdicts := make(chan struct{}, 10), make(chan error)
	d := &receiver{id: "d", answers: func(destinations.Delivery) error { began <- struct{}{}; return <-verdicts }}
	defer close(verdicts) // before the pipeline is stopped
	r := newRig(t, router.Destination{Destination: d, Breaker: attempt.Breaker{Initial: time.Hour, Max: time.Hour}, Retry: attempt.Retry{Initial: time.Hour, Max: time.Hour}})
	id := r.publish("u1", "t", 1)[0]
	<-began
	assert.Contains(t, r.await(id, StateAttempt).Why, "attempt 1 is under way")

	r.pipeline.Pause("d", router.Note{By: "ada", Why: "maintenance", At: time.Now()})
	other := r.publish("u2", "t", 1)[0]
	paused := r.await(other, StatePaused)
	assert.Contains(t, paused.Why, "paused by ada since ")
	assert.Contains(t, paused.Why, "maintenance")
	assert.Equal(t, "eventserver resume d", paused.Do)
	r.pipeline.Resume("d")
	<-began
	down := destinations.Unavailable(errors.New("answer 503"))
	verdicts <- down
	verdicts <- down
	require.Eventually(t, func() bool { s, _ := r.pipeline.Status("d"); return s.Breaker.Open }, 10*time.Second, time.Millisecond)
	third := r.publish("u3", "t", 1)[0]
	held := r.await(third, StateBreaker)
	assert.Contains(t, held.Why, "breaker open until ")
	assert.Contains(t, held.Why, "answer 503")
	assert.False(t, held.Next.IsZero())
}

// scheduler is a Live that says what a test gives it.
type scheduler struct{ status router.Status }

func (s scheduler) Waiting(string, string) []router.Waiting        { return nil }
func (s scheduler) Recent(string, string, string) []attempt.Finish { return nil }
func (s scheduler) Status(string) (router.Status, bool)            { return s.status, true }

// "breaker open until ...: connection refused after 33 attempts, the last answer was:
// connection refused" is what it was.
func TestCauseIsSaidOnce(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	live := scheduler{router.Status{Breaker: router.BreakerStatus{Open: true, Until: now.Add(time.Minute), Cause: "connection refused"}}}
	c := &inquiry{x: &Explainer{cfg: Config{Live: live}}, out: &Explanation{At: now}}
	for last, want := range map[string]string{
		"connection refused": ": connection refused; 3 attempts were made",
		"answer 503":         ": connection refused; after 3 attempts, the last answer was: answer 503",
	} {
		v := &DestinationExplanation{}
		c.first(&evidence{id: "d"}, &router.Waiting{Reason: metrics.WaitBreaker, Attempts: 3, Last: last}, v)
		assert.True(t, strings.HasSuffix(v.Why, want), v.Why)
	}
}

func TestPoisonedByBothStages(t *testing.T) {
	d := &receiver{id: "d", answers: func(destinations.Delivery) error { return destinations.Permanent(errors.New("answer 400")) }}
	r := newRig(t, router.Destination{Destination: d})
	id := r.publish("u1", "t", 1)[0]
	got := r.await(id, StatePoisoned)
	assert.Equal(t, "deliver", got.Stage)
	assert.Equal(t, metrics.ReasonPermanent, got.Reason)
	assert.Contains(t, got.LastAnswer, "answer 400")
	assert.Contains(t, got.Do, "eventserver poison redrive --destination d --key u1")
	require.Len(t, got.Poison, 1)
	broken := r.publish("u1", "broken", 1)[0]
	got = r.await(broken, StatePoisoned)
	assert.Equal(t, "transform", got.Stage)
	assert.Equal(t, metrics.ReasonTransform, got.Reason)
	assert.Contains(t, got.Why, "before it was sent")
	assert.Empty(t, got.Records)

	// An operator discards one and redrives the other, which is taken now.
	p := r.ask(broken).Poison[0]
	mark := record.Mark{Kind: record.MarkDiscarded, Of: record.Position{Partition: p.Partition, Offset: p.Offset}, By: "ada", EventID: broken, At: time.Now()}
	require.NoError(t, r.broker.Publisher(infra.Durable).Publish(record.PoisonTopic("d"), record.EncodeMark(mark, "u1")))
	got = r.ask(broken)
	assert.Equal(t, StateDiscarded, got.State)
	assert.Contains(t, got.Why, "discarded by ada")

	r.stop()
	d.answers = nil
	r.run(router.Destination{Destination: d})
	p = r.ask(id).Poison[0]
	of := record.Position{Partition: p.Partition, Offset: p.Offset}
	var rec *message.Message
	reader, err := r.broker.Bounds(t.Context(), record.PoisonTopic("d"), time.Time{})
	require.NoError(t, err)
	require.NoError(t, r.broker.Scan(t.Context(), record.PoisonTopic("d"), ranges(reader), func(m *message.Message, _ time.Time) error {
		if record.PositionOf(m) == of {
			rec = m
		}
		return nil
	}))
	require.NoError(t, r.broker.Publisher(infra.Durable).Publish(record.DestinationTopic("d"), record.Redriven(rec, record.Redrive{Of: of, Run: "r", At: time.Now()})))
	mark = record.Mark{Kind: record.MarkRedriven, Of: of, By: "ada", EventID: id, At: time.Now()}
	require.NoError(t, r.broker.Publisher(infra.Durable).Publish(record.PoisonTopic("d"), record.EncodeMark(mark, "u1")))
	got = r.await(id, StateDelivered)
	require.Len(t, got.Records, 2)
	assert.Equal(t, of.String(), got.Records[1].RedriveOf)
	assert.Equal(t, "redriven", got.Poison[0].Mark)
}

type never struct{}

func (never) Match(context.Context, destinations.Event) (bool, error) { return false, nil }

func TestFiltered(t *testing.T) {
	for want, d := range map[string]router.Destination{
		`its types (order.*) have no "t"`: {Types: []string{"order.*"}},
		"its filter is false":             {Filter: never{}},
	} {
		d.Destination = &receiver{id: "d"}
		r := newRig(t, d)
		got := r.await(r.publish("u1", "t", 1)[0], StateFiltered)
		assert.Contains(t, got.Why, want)
		assert.Contains(t, got.Why, "as it is configured now")
	}
	r := newRig(t, router.Destination{Destination: &receiver{id: "d"}})
	assert.Contains(t, r.await(r.publish("u1", "skipped", 1)[0], StateFiltered).Why, "its own transformation skips it")

	// It was filtered out, and would not be now.
	r = newRig(t, router.Destination{Destination: &receiver{id: "d"}, Types: []string{"x"}})
	id := r.publish("u1", "t", 1)[0]
	r.await(id, StateFiltered)
	r.explain.cfg.Destinations = func() []router.Destination { return []router.Destination{{Destination: &receiver{id: "d"}}} }
	got := r.ask(id)
	assert.Equal(t, StateNothing, got.State)
	assert.Contains(t, got.Do, "eventserver replay d --since ")

	// Of a destination with from: now it was said that an older event had been passed
	// over when it was transformed, which it never was.
	begins := map[int32]int64{0: 1, 1: 1, 2: 1}
	r.explain.cfg.Begins = func(string) map[int32]int64 { return begins }
	got = r.ask(id)
	assert.Equal(t, StateNothing, got.State)
	assert.Contains(t, got.Why, "accepted before the destination began")
	assert.Contains(t, got.Do, "eventserver replay d --since ")
	begins = map[int32]int64{0: 0, 1: 0, 2: 0}
	assert.Contains(t, r.ask(id).Why, "passed over", "it was the first that the destination had")
}

func TestSkippedByTheDestination(t *testing.T) {
	r := newRig(t, router.Destination{Destination: &receiver{id: "d", answers: func(destinations.Delivery) error { return destinations.ErrSkip }}})
	assert.Contains(t, r.await(r.publish("u1", "t", 1)[0], StateFiltered).Why, "the destination itself skipped it")
}

func TestNotTransformed(t *testing.T) {
	r := newRig(t, router.Destination{Destination: &receiver{id: "d"}})
	require.NoError(t, r.pipeline.Suspend(t.Context(), "d", router.Note{By: "ada", Why: "replay"}))
	id := r.publish("u1", "t", 4)[3]
	got := r.ask(id)
	assert.Equal(t, StateNotTransformed, got.State)
	assert.EqualValues(t, 3, got.Ahead)
	assert.Contains(t, got.Why, "a replay by ada")
	r.stop()
	var err error
	r.explain, err = New(Config{Reader: r.broker, Groups: r.broker, Destinations: r.pipeline.Configured})
	require.NoError(t, err)
	r.explain.cfg.Destinations = func() []router.Destination {
		return []router.Destination{{Destination: &receiver{id: "d"}}}
	}
	got = r.ask(id)
	assert.Equal(t, StateNotTransformed, got.State)
	assert.Contains(t, got.Why, "3 events of its partition are before it")
	assert.Contains(t, got.Why, "no process works on its partition now")
}

// While a destination takes nothing, a thousand of its deliveries are made ahead and no more.
func TestNotTransformedWhilePaused(t *testing.T) {
	d := &receiver{id: "d"}
	r := newRig(t, router.Destination{Destination: d})
	r.pipeline.Pause("d", router.Note{By: "ada"})
	r.await(r.publish("u1", "t", 1)[0], StatePaused)
	ids := r.publish("u2", "t", 3000)
	last := ids[len(ids)-1]
	assert.Eventually(t, func() bool { s, _ := r.pipeline.Status("d"); return s.Waits != "" }, 10*time.Second, time.Millisecond)
	got := r.ask(last)
	assert.Equal(t, StateNotTransformed, got.State)
	assert.Equal(t, metrics.WaitPaused, got.Reason)
	assert.Contains(t, got.Why, "enough deliveries wait already: the destination is paused by ada")
	assert.Equal(t, "eventserver resume d", got.Do)
	assert.Greater(t, got.Ahead, int64(1000))
	assert.LessOrEqual(t, got.Ahead, int64(2000))
	// Another process has the partition, and its stage need not be stopped.
	assert.Eventually(t, func() bool {
		return slices.ContainsFunc(r.pipeline.Waiting("d", "u2"), func(w router.Waiting) bool { return w.Stage == "transform" })
	}, 10*time.Second, time.Millisecond)
	unread := r.publish("u3", "t", 1)[0]
	var err error
	here := r.explain
	r.explain, err = New(Config{Reader: r.broker, Groups: elsewhere{r.broker}, Instance: "here", Live: r.pipeline, Destinations: r.pipeline.Configured})
	require.NoError(t, err)
	got = r.ask(unread)
	assert.Equal(t, StateNotTransformed, got.State)
	assert.Contains(t, got.Why, "instance there works on it")
	assert.NotContains(t, got.Why, "enough deliveries")
	r.explain = here
	r.pipeline.Resume("d")
	assert.Eventually(t, func() bool { return d.has(last) }, 10*time.Second, time.Millisecond)
}

// elsewhere says that another process has all partitions.
type elsewhere struct{ infra.Broker }

func (elsewhere) Members(_ context.Context, group string) ([]infra.Member, error) {
	return []infra.Member{{Instance: "there." + group, Partitions: map[string][]int32{record.EventsTopic: {0, 1, 2}}}}, nil
}

func TestFinding(t *testing.T) {
	d := &receiver{id: "d"}
	r := newRig(t, router.Destination{Destination: d})
	r.store("order-17", "u1", "t")
	r.store("order-17", "u1", "t")
	old := ulid.MustNew(ulid.Timestamp(time.Now().Add(-48*time.Hour)), ulid.DefaultEntropy()).String()
	r.store(old, "u2", "t")
	ask := func(q Question) (*Explanation, error) { return r.explain.Explain(t.Context(), q) }

	for _, q := range []Question{{ID: "order-17"}, {ID: "order-17", Key: "u1"}, {ID: "order-17", Key: "wrong"}, {ID: "order-17", Since: time.Now().Add(-time.Minute)}} {
		out, err := ask(q)
		require.NoError(t, err, "%+v", q)
		assert.Len(t, out.Accepted, 2, "%+v", q)
		assert.Contains(t, strings.Join(out.Notes, " "), "accepted 2 times")
	}
	_, err := ask(Question{ID: "order-18", Since: time.Now().Add(-time.Minute)})
	require.ErrorIs(t, err, ErrNotFound)
	assert.ErrorContains(t, err, "earlier --since")

	// A client's clock: what the event became tells where it is.
	require.Eventually(t, func() bool { return d.has(old) }, 10*time.Second, time.Millisecond)
	for _, since := range []time.Time{{}, time.Now().Add(-time.Minute)} {
		out, err := ask(Question{ID: old, Since: since})
		require.NoError(t, err)
		require.Len(t, out.Accepted, 1)
		assert.Equal(t, "u2", out.Accepted[0].Key)
	}
	_, err = ask(Question{ID: ulid.MustNew(ulid.Timestamp(time.Now().Add(-48*time.Hour)), ulid.DefaultEntropy()).String()})
	require.ErrorIs(t, err, ErrNotFound)
	assert.ErrorContains(t, err, "all 3 records in the topic of events were read; check the id")

	_, err = ask(Question{ID: old, Destination: "e"})
	require.ErrorIs(t, err, ErrBadQuestion)
	assert.ErrorContains(t, err, "there are d")
	_, err = ask(Question{})
	require.ErrorIs(t, err, ErrBadQuestion)

	r.explain.cfg.MaxRecords = 1
	_, err = ask(Question{ID: "nobody", Since: time.Now().Add(-time.Hour)})
	assert.ErrorContains(t, err, "ended early")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.explain.Explain(ctx, Question{ID: old})
	require.ErrorIs(t, err, context.Canceled)
}

// Other programs write what they like.
func TestRecordsOfOthers(t *testing.T) {
	d := &receiver{id: "d"}
	r := newRig(t, router.Destination{Destination: d})
	bare := message.NewMessage("bare", []byte(`{}`))
	bare.Metadata["ce_id"] = "bare"
	bad := message.NewMessage("bad", []byte(`{}`))
	bad.Metadata["ce_id"], bad.Metadata["ce_time"] = "bad", "yesterday"
	require.NoError(t, r.broker.Publisher(infra.Durable).Publish(record.EventsTopic, bare, bad))
	since := time.Now().Add(-time.Minute)
	eventually := func(id, state string) *Explanation {
		t.Helper()
		var out *Explanation
		require.Eventually(t, func() bool {
			var err error
			out, err = r.explain.Explain(t.Context(), Question{ID: id, Since: since})
			return err == nil && out.Destinations[0].State == state
		}, 10*time.Second, time.Millisecond)
		return out
	}
	out := eventually("bare", StateDelivered)
	assert.True(t, out.Accepted[0].Received.IsZero())
	out = eventually("bad", StatePoisoned)
	assert.Contains(t, out.Accepted[0].Undecodable, "ce_time")
	assert.Equal(t, metrics.ReasonUndecodable, out.Destinations[0].Reason)
}

// finishes is a scheduler that remembers.
type finishes struct {
	Live
	of []attempt.Finish
}

func (f finishes) Recent(string, string, string) []attempt.Finish { return f.of }

// What was given up between the look at the poison queue and the question to the
// scheduler was said to be delivered.
func TestGivenUpWhileWeLooked(t *testing.T) {
	now := time.Now()
	c := &inquiry{x: &Explainer{Config{Live: finishes{of: []attempt.Finish{{At: now, Attempts: 4, Outcome: metrics.Poisoned}}}}}}
	v := &DestinationExplanation{}
	c.judgeDone(&evidence{id: "d"}, &destRecord{}, v)
	assert.Equal(t, StatePoisoned, v.State)
	assert.True(t, v.DeliveredAt.IsZero())
	assert.Equal(t, "given up a moment ago, at "+clock(now)+", after 4 attempts", v.Why)
}

// Users may have events of one id. With the key of one, the answer was about the
// other, and a delivery of one hid that the other's was given up.
func TestOneIDOfTwoUsers(t *testing.T) {
	d := &receiver{id: "d", answers: func(d destinations.Delivery) error {
		if d.Key == "u1" {
			return destinations.Permanent(errors.New("answer 400"))
		}
		return nil
	}}
	r := newRig(t, router.Destination{Destination: d})
	ask := func(key string) (*Explanation, DestinationExplanation) {
		out, err := r.explain.Explain(t.Context(), Question{ID: "1", Key: key, Since: time.Now().Add(-time.Minute)})
		require.NoError(t, err)
		return out, out.Destinations[0]
	}
	state := func(key string) {
		want := map[bool]string{true: StatePoisoned, false: StateDelivered}[key == "u1"]
		require.Eventually(t, func() bool { _, got := ask(key); return got.State == want }, 10*time.Second, time.Millisecond, key)
	}
	for _, key := range []string{"u4", "u1", "u2", "u3", "u5"} { // one partition has two of them at least
		r.store("1", key, "t")
		state(key)
	}
	for _, live := range []Live{r.pipeline, nil} {
		r.explain.cfg.Live = live
		for _, key := range []string{"u1", "u2", "u3", "u4", "u5"} {
			state(key) // without a scheduler that is the progress, which is kept a moment after the delivery
			out, got := ask(key)
			require.Len(t, out.Accepted, 1, key)
			assert.Equal(t, key, out.Accepted[0].Key)
			assert.Len(t, got.Records, 1)
		}
	}
	out, _ := ask("nobody")
	assert.NotEmpty(t, out.Accepted, "what is there with other keys is an answer, too")
}

// What Kafka has of an event without a key was given up without one, too, and is in
// any partition. It was looked for where its id would be as a key, and was said to
// have been passed over. (The broker in memory gives every record a key.)
func TestWithoutAKey(t *testing.T) {
	r := newRig(t, router.Destination{Destination: &receiver{id: "d"}})
	c := &inquiry{x: r.explain, q: Question{ID: "a b"}, out: &Explanation{}}
	bare := message.NewMessage("record", []byte(`{}`))
	bare.Metadata["ce_id"] = "a b"
	c.occurs(bare, time.Now())
	only, err := c.place(t.Context(), record.PoisonTopic("d"))
	require.NoError(t, err)
	assert.Nil(t, only, "everywhere")
	v := &DestinationExplanation{}
	c.given(&evidence{id: "d"}, &PoisonedAttempt{Class: record.ClassPipeline}, v)
	assert.Contains(t, v.Do, "eventserver poison redrive --destination d --event 'a b'", "--key finds nothing")
}

func TestText(t *testing.T) {
	var b strings.Builder
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	require.NoError(t, Text(&b, &Explanation{EventID: "e\x1b[31m1", At: now, Notes: []string{"Twice."},
		Accepted:     []AcceptedAt{{Topic: "events", Partition: 2, Offset: 7, Received: now.Add(-time.Minute), Key: "u1", Type: "t"}},
		Destinations: []DestinationExplanation{{ID: "crm", State: StateRetrying, Why: "attempt 2 of 10 failed", Do: "mend it", Next: now.Add(30 * time.Second)}},
	}))
	assert.Equal(t, `event e [31m1
  accepted 2026-07-01T11:59:00.000Z (1m0s ago), type t, key u1, topic events/2 offset 7
  note: Twice.

crm: RETRYING
  why: attempt 2 of 10 failed
  next: 2026-07-01T12:00:30.000Z (in 30s)
  do: mend it
`, b.String())
	for _, state := range []string{StateFiltered, StateNotTransformed, StateWaiting, StateAttempt, StateRetrying, StateBreaker, StateHeld,
		StatePaused, StateDelivered, StatePoisoned, StateDiscarded, StateTrimmed, StateNothing} {
		assert.NotEmpty(t, headline[state], state)
	}
}

func ranges(bounds map[int32]infra.Bounds) map[int32]infra.Range {
	out := map[int32]infra.Range{}
	for p, b := range bounds {
		out[p] = infra.Range{From: b.Oldest, To: b.End}
	}
	return out
}

// What others chose stands in commands that people paste, and on terminals.
func TestWhatOthersChose(t *testing.T) {
	for id, want := range map[string]string{
		"01M8AW11YB9TTF4MQM571ZXSEH": "01M8AW11YB9TTF4MQM571ZXSEH",
		"a$(reboot)":                 `'a$(reboot)'`,
		"it's":                       `'it'\''s'`,
		"-x":                         "-- -x",
		"":                           "''",
	} {
		assert.Equal(t, want, operand(id))
	}
	assert.Equal(t, "a b [2J c", line("a\u202eb\x1b[2J\u0085c"))
}
