package pubsub

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// damageLog collects the damage that a broker tells of.
type damageLog struct {
	mu  sync.Mutex
	all []infra.Span
}

func (d *damageLog) damaged(group string, e *infra.DamageError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, e.Offsets)
}

// What cannot be read is told and counts as done; all else is handed out.
func TestDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]infra.Span{"in the middle": {From: 3, To: 6}, "the first": {To: 2}, "the last": {From: 8, To: 10}, "beyond the end": {From: 9, To: 1 << 40}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d damageLog
			e := newEnv(t, Config{Damaged: d.damaged})
			e.publish("u", 0, 10)
			e.faults.damageRange(0, damage)
			_, in := e.subscribe()
			var want []string
			for i := range int64(10) {
				if i < damage.From || i >= damage.To {
					want = append(want, strconv.FormatInt(i, 10))
				}
			}
			msgs := e.take(in, len(want))
			assert.Equal(t, want, payloads(msgs))
			settle(true, msgs...)
			e.lags(0)
			assert.Equal(t, []infra.Span{damage}, d.all)
			assert.Equal(t, 1, e.log.count("records cannot be read and are passed over"))
			e.faults.damageRange(0, infra.Span{})
			e.publish("u", 10, 1)
			m := e.receive(in)
			assert.Equal(t, "10", string(m.Payload), "reading goes on")
			settle(true, m)
		})
	}
}

// Damage with messages in flight below it, and among those that a busy user had read
// past. Whose they were is not known any more: the claim begins anew, nothing that was
// done comes again, and what is left comes in order.
func TestDamageOfDeferred(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm func(e *env)
		lost infra.Span
	}{
		"damaged": {func(e *env) { e.faults.damageRange(0, infra.Span{From: 10, To: 13}) }, infra.Span{From: 10, To: 13}},
		"deleted": {func(e *env) {
			require.NoError(e, e.faults.Trim(e.Context(), topic, map[int32]int64{0: 13}))
		}, infra.Span{From: 4, To: 13}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, Config{WindowMessages: 40, WindowKey: 4})
			e.publish("busy", 0, 30)
			e.publish("other", 30, 2)
			s, in := e.subscribe()
			held := e.take(in, 4)
			others := e.take(in, 2)
			assert.Equal(t, []string{"30", "31"}, payloads(others))
			settle(true, others...)
			e.eventually("26 are read past", func() bool { return s.Deferred("busy") == 26 })
			test.harm(e)
			settle(true, held...)
			done := 4
			for want := 4; want < 30; want++ {
				if int64(want) == test.lost.From {
					want = int(test.lost.To)
				}
				m := e.receive(in)
				for m.Context().Err() != nil { // of the claim that ends: the next one hands it out
					settle(false, m)
					m = e.receive(in)
				}
				require.Equal(t, strconv.Itoa(want), string(m.Payload))
				settle(true, m)
				done++
			}
			e.lags(0)
			assert.EqualValues(t, 30, int64(done)+test.lost.To-test.lost.From)
			assert.Zero(t, s.Deferred("busy"))
			e.publish("busy", 32, 1)
			m := e.receive(in)
			assert.Equal(t, "32", string(m.Payload))
			settle(true, m)
		})
	}
}

// What fails for a while is read again, and said once. Nothing is lost by it.
func TestReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{NackDelay: time.Millisecond, WindowMessages: 40, WindowKey: 4})
	e.publish("busy", 0, 30)
	var calls atomic.Int64
	fault(&e.faults.read, func(int64) error {
		if calls.Add(1)%3 != 0 {
			return errTest
		}
		return nil
	})
	_, in := e.subscribe()
	for i := range 30 {
		m := e.receive(in)
		assert.Equal(t, strconv.Itoa(i), string(m.Payload))
		settle(true, m)
	}
	e.lags(0)
	assert.Positive(t, e.log.count("cannot read; trying again"))
}

// Text above a position that is not ours, or of another position, counts for nothing,
// and the operator is told. It lost events when it was taken for ours.
func TestForeignProgress(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 5)
	keep := func(p infra.Position) {
		require.NoError(t, e.faults.Log.Append(t.Context(), infra.Batch{Progress: []infra.Progressed{{Group: group, Topic: topic, Position: p}}}))
	}
	s, in := e.subscribe()
	msgs := e.take(in, 5)
	settle(true, msgs[1], msgs[3])
	e.lags(3)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-msgs[0].Context().Done()
	settle(false, msgs[0], msgs[2], msgs[4])
	require.NoError(t, <-closed)
	all, err := e.faults.Kept(t.Context(), topic)
	require.NoError(t, err)
	ours := all[group][0]
	require.NotEmpty(t, ours.Text)

	for _, p := range []infra.Position{{Next: 0, Text: "consumer-1"}, {Next: 1, Text: ours.Text}} {
		keep(p)
		assert.EqualValues(t, 5-p.Next, e.lag())
		before := e.log.count("cannot read the progress")
		s, in := e.subscribe()
		m := e.receive(in)
		assert.Equal(t, strconv.FormatInt(p.Next, 10), string(m.Payload))
		settle(false, m)
		assert.Equal(t, before+1, e.log.count("cannot read the progress"))
		go func() {
			for m := range in {
				settle(false, m)
			}
		}()
		require.NoError(t, s.Close())
	}
}

// A position beyond the end would have what comes next count as done.
func TestPositionBeyondTheEnd(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 3)
	require.NoError(t, e.faults.Log.Append(t.Context(), infra.Batch{Progress: []infra.Progressed{{Group: group, Topic: topic, Position: infra.Position{Next: 50}}}}))
	_, in := e.subscribe()
	e.eventually("it is told", func() bool { return e.log.count("shorter than the group's progress") == 1 })
	e.publish("u", 3, 2)
	msgs := e.take(in, 2)
	assert.Equal(t, []string{"3", "4"}, payloads(msgs))
	settle(true, msgs...)
	e.lags(0)
}

// A scan hands out what can be read, and says in the end what it could not.
func TestScanOfDamage(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 6)
	e.faults.damageRange(0, infra.Span{From: 2, To: 4})
	var got []string
	note := func(m *message.Message, _ time.Time) error {
		got = append(got, string(m.Payload))
		if string(m.Payload) == "6" {
			return errTest
		}
		return nil
	}
	err := e.Scan(t.Context(), topic, map[int32]infra.Range{0: {To: 6}}, note)
	var d *infra.DamageError
	require.ErrorAs(t, err, &d)
	assert.Equal(t, infra.Span{From: 2, To: 4}, d.Offsets)
	assert.Equal(t, []string{"0", "1", "4", "5"}, got)

	e.publish("u", 6, 1)
	got = nil
	require.ErrorIs(t, e.Scan(t.Context(), topic, map[int32]infra.Range{0: {From: 1, To: infra.Forever}}, note), errTest)
	assert.Equal(t, []string{"1", "4", "5", "6"}, got)
	assert.Equal(t, 1, e.log.count("records cannot be read and are passed over"))
	require.NoError(t, e.Scan(t.Context(), topic, map[int32]infra.Range{0: {From: 99, To: 120}}, note), "nothing is there yet, and it is not waited for")
}
