package pubsub

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

const kind = "kind"

// typed stores messages numbered from first, of one kind.
func (e *env) typed(of string, first, count int) {
	e.Helper()
	for i := range count {
		m := newMessage("u", strconv.Itoa(first+i))
		m.Metadata.Set(kind, of)
		require.NoError(e, e.Publisher(infra.Durable).Publish(topic, m))
	}
}

// reader is a subscription with runs.
type reader struct {
	e   *env
	sub infra.Subscriber
	in  <-chan *message.Message
}

// reads subscribes a group to what is of a kind; "": to everything.
func (e *env) reads(group, of string) *reader {
	e.Helper()
	cfg := infra.SubscriberConfig{Runs: infra.Runs{Messages: 8, Bytes: 1 << 20}}
	if of != "" {
		cfg.Only = infra.Only{Header: kind, Match: func(value string) bool { return value == of }}
	}
	s, err := e.Subscriber(group, cfg)
	require.NoError(e, err)
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(e, err)
	return &reader{e, s, in}
}

// run is the next run, of one part.
func (r *reader) run() (*message.Message, *infra.Part) {
	r.e.Helper()
	m := r.e.receive(r.in)
	run := infra.RunOf(m)
	require.Len(r.e, run.Parts, 1)
	return m, run.Parts[0]
}

// gets takes exactly these.
func (r *reader) gets(want ...string) (all []*message.Message) {
	r.e.Helper()
	for len(all) < len(want) {
		m, part := r.run()
		all = append(all, part.Messages...)
		m.Ack()
	}
	require.Equal(r.e, want, payloads(all))
	return all
}

func numbers(first, count int) (out []string) {
	for i := range count {
		out = append(out, strconv.Itoa(first+i))
	}
	return out
}

// follower is the claim's of the only partition.
func (r *reader) follower() *follower {
	for _, c := range r.sub.(*subscriber).subscriptions()[0].owned() {
		return c.follower
	}
	return nil
}

// settles waits until readers are at the live end.
func (e *env) settles(readers ...*reader) {
	e.Helper()
	for _, r := range readers {
		e.eventually("it is at the live end", func() bool {
			f := r.follower()
			if f == nil {
				return false
			}
			f.claim.mu.Lock()
			defer f.claim.mu.Unlock()
			return f.phase == phaseLive
		})
	}
}

func (e *env) keptOf(group string) int64 {
	e.Helper()
	all, err := e.faults.Kept(context.Background(), topic, group)
	require.NoError(e, err)
	return all[group][0].Next
}

func (e *env) lagOf(group string) int64 {
	e.Helper()
	n, err := infra.LagOf(context.Background(), e, group, topic)
	require.NoError(e, err)
	return n
}

// done waits until nothing is left for a group.
func (e *env) done(group string) {
	e.Helper()
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
}

// However many subscriptions there are, a record is read and decoded once, with one
// cursor.
func TestReadOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 3)
	var all []*reader
	for i := range 10 {
		all = append(all, e.reads(fmt.Sprint("g", i), ""))
		all[i].gets(numbers(0, 3)...)
	}
	e.settles(all...)
	before := e.faults.given.Load()
	e.publish("u", 3, 20)
	e.publish("u", 23, 20)
	first := all[0].gets(numbers(3, 40)...)
	var made atomic.Int64
	for _, r := range all[1:] {
		for i, m := range r.gets(numbers(3, 40)...) {
			assert.Same(t, first[i], m)
			assert.Equal(t, first[i], infra.Derived(m, func(m *message.Message) any { made.Add(1); return m }))
		}
	}
	assert.EqualValues(t, 40, e.faults.given.Load()-before)
	assert.EqualValues(t, 40, made.Load())
	assert.EqualValues(t, 1, e.faults.open.Load(), "cursors")
}

// A subscription that does not want what comes is not woken: its runner is not asked.
func TestUnwantedWakesNobody(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	a, b := e.reads("a", "a"), e.reads("b", "b")
	e.settles(a, b)
	runner := b.sub.(*subscriber).subscriptions()[0].runner
	runner.mu.Lock() // who wakes it, waits
	e.typed("a", 0, 20)
	a.gets(numbers(0, 20)...)
	assert.Equal(t, int64(0), e.lagOf("b"), "it is done with it all the same")
	runner.mu.Unlock()
	e.typed("b", 20, 1)
	b.gets("20")
	e.done("a")
}

// What has no mark is another program's, and is handed out to everybody.
func TestUnmarkedIsWanted(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 1)
	var skipped atomic.Int64
	s, err := e.Subscriber(group, infra.SubscriberConfig{Runs: infra.Runs{Messages: 8, Bytes: 1 << 20},
		Only: infra.Only{Header: "other", Mark: kind, Match: func(string) bool { return false }, Skipped: func(n int) { skipped.Add(int64(n)) }}})
	require.NoError(t, err)
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(t, err)
	r := &reader{e, s, in}
	r.gets("0")
	e.settles(r)
	e.typed("a", 1, 5)
	e.publish("u", 6, 1)
	r.gets("6")
	e.eventually("they are counted", func() bool { s.Stats(); return skipped.Load() == 5 })
}

// Who takes longer than the memory lasts reads for himself, misses nothing, and joins
// the others again.
func TestFallsBehindAndJoinsAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{liveBytes: 1})
	slow, fast := e.reads("slow", ""), e.reads("fast", "")
	e.settles(slow, fast)
	e.publish("u", 0, 1)
	held, part := slow.run()
	require.Len(t, part.Messages, 1)
	fast.gets("0")
	for i := range 50 {
		e.publish("u", 1+i, 1)
		fast.gets(strconv.Itoa(1 + i))
	}
	held.Ack()
	slow.gets(numbers(1, 50)...)
	e.settles(slow, fast)
	before := e.faults.given.Load()
	e.publish("u", 51, 1)
	slow.gets("51")
	fast.gets("51")
	assert.EqualValues(t, 1, e.faults.given.Load()-before)
	e.done("slow")
}

// More is wanted than one run takes, with gaps of what is not.
func TestLiveGaps(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	r := e.reads("g", "a")
	e.settles(r)
	e.typed("a", 0, 1)
	held, _ := r.run()
	var want []string
	for i := range 40 {
		e.typed("a", i, 1)
		e.typed("b", 1000, 3)
		want = append(want, strconv.Itoa(i))
	}
	assert.EqualValues(t, 161, e.lagOf("g"), "nothing is done while the first one is in the handler")
	held.Ack()
	r.gets(want...)
	e.done("g")
}

// A run that is refused comes again, before what came meanwhile.
func TestLiveNack(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{NackDelay: time.Millisecond})
	r := e.reads("g", "")
	e.settles(r)
	e.publish("u", 0, 1)
	m, _ := r.run()
	e.publish("u", 1, 3)
	m.Nack()
	m, part := r.run()
	assert.Equal(t, []string{"0"}, payloads(part.Messages))
	m.Ack()
	r.gets(numbers(1, 3)...)
	e.settles(r)
}

// A partition that moves while its claims are at the live end: nothing is lost, and
// what is done does not come again.
func TestLiveMoves(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	a, b := e.reads("a", "a"), e.reads("b", "b")
	for round := range 5 {
		e.settles(a, b)
		e.typed("a", round, 1)
		e.typed("b", round, 2)
		a.gets(strconv.Itoa(round))
		b.gets(numbers(round, 2)...)
		last := a.follower()
		e.faults.move()
		e.eventually("it moved", func() bool { return a.follower() != nil && a.follower() != last })
	}
	e.settles(a, b)
	e.done("a")
	e.done("b")
}

// Damage at the live end is told to every group, and reading goes on behind it.
func TestLiveDamage(t *testing.T) {
	t.Parallel()
	var told atomic.Int64
	e := newEnv(t, Config{Damaged: func(string, *infra.DamageError) { told.Add(1) }})
	a, b := e.reads("a", ""), e.reads("b", "nothing")
	e.settles(a, b)
	e.faults.damageRange(0, infra.Span{From: 1, To: 3})
	e.publish("u", 0, 4)
	a.gets("0", "3")
	e.eventually("both are told", func() bool { return told.Load() == 2 })
	e.faults.damageRange(0, infra.Span{})
	e.settles(a, b)
	e.publish("u", 4, 1)
	a.gets("4")
	e.done("b")
}

// A partition that has lost its end goes on with lower offsets. What comes there is new,
// and counted as done.
func TestLiveEndIsLost(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	r := e.reads("g", "")
	e.settles(r)
	e.publish("u", 0, 5)
	r.gets(numbers(0, 5)...)
	e.done("g")
	lp := r.follower().part
	lp.add([]*infra.Record{{Topic: topic, Offset: 2}})
	r.gets("2", "3", "4")
	e.settles(r)
	e.publish("u", 5, 1)
	r.gets("5")
	assert.Equal(t, 1, e.log.count("has become shorter"))
}

// Who is not at the live end when that is lost goes back too, once he comes there: what
// is new has offsets that were done. Here his part is with the handlers, and is refused.
func TestLiveEndIsLostBesideAPart(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	r := e.reads("g", "")
	e.settles(r)
	e.publish("u", 0, 4)
	r.gets(numbers(0, 4)...)
	e.publish("u", 4, 1)
	m, part := r.run()
	require.Equal(t, []string{"4"}, payloads(part.Messages))
	lp := r.follower().part
	lp.add([]*infra.Record{{Topic: topic, Offset: 2, Value: []byte("new")}})
	m.Nack()
	r.gets("4")
	r.gets("new")
	e.settles(r)
	e.publish("u", 5, 1)
	r.gets("5")
}

// Positions that only skips moved are kept some time later, in one go, and when the
// subscription ends.
func TestSkippedPositionsAreKeptLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Config{})
		r := e.reads("g", "a")
		synctest.Wait()
		e.typed("b", 0, 10)
		after(time.Second)
		assert.Empty(t, e.faults.positions())
		e.done("g")
		e.typed("b", 10, 10)
		after(skipInterval)
		assert.Equal(t, []int64{20}, e.faults.positions())
		after(10 * skipInterval)
		assert.Len(t, e.faults.positions(), 1, "nothing has come")

		e.typed("b", 20, 5)
		synctest.Wait()
		require.NoError(t, r.sub.Close())
		assert.EqualValues(t, 25, e.keptOf("g"))
		e.done("g")
	})
}

// A kill loses what was to be kept later: it is skipped again, and what is wanted comes
// once.
func TestSkippedPositionsAfterAKill(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	r := e.reads("g", "a")
	e.settles(r)
	e.typed("b", 0, 10)
	fault(&e.faults.keep, func([]infra.Progressed) error { return errTest })
	require.NoError(t, r.sub.Close())
	assert.Zero(t, e.keptOf("g"))
	e.faults.keep.Store(nil)
	e.typed("a", 10, 1)
	r = e.reads("g", "a")
	r.gets("10")
	e.done("g")
}

// A destination that wants nothing of what comes does not hold up the trimming, and
// what another one has not done stays.
func TestTrimWithoutInterest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const age = time.Minute
		e := newEnv(t, Config{TrimAge: age})
		nothing := e.reads("nothing", "a")
		busy := e.reads("busy", "b")
		synctest.Wait()
		e.typed("b", 0, 3)
		busy.gets(numbers(0, 3)...)
		e.typed("b", 3, 1)
		held, _ := busy.run()
		e.typed("c", 4, 1)
		after(3 * age)
		assert.EqualValues(t, 3, e.oldest(topic), "what is done by both")
		held.Ack()
		after(3 * age)
		assert.EqualValues(t, 5, e.oldest(topic))
		require.NoError(t, nothing.sub.Close())
	})
}
