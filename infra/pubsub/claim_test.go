package pubsub

import (
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// A receiver may be down for days: its window stays full, and nothing of the log is
// held open meanwhile. It is told once.
func TestFullWindowHoldsNoCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Config{WindowMessages: 10, WindowKey: 10})
		e.publish("u", 0, 30)
		_, in := e.subscribe()
		msgs := e.take(in, 10)
		synctest.Wait()
		assert.EqualValues(t, 1, e.faults.open.Load())
		after(2 * fullRelease)
		assert.Zero(t, e.faults.open.Load())
		assert.Zero(t, e.log.count("read window full"), "not for long")
		after(stallAfter)
		assert.Equal(t, 1, e.log.count("read window full"))
		settle(true, msgs[0])
		msgs = append(msgs[1:], e.receive(in))
		assert.Zero(t, e.log.count("read window has room again"), "it is nearly full: one stall")
		after(2 * stallAfter)
		assert.Equal(t, 1, e.log.count("read window full"))
		settle(true, msgs...)
		msgs = e.take(in, 10)
		assert.Equal(t, "11", string(msgs[0].Payload))
		settle(true, msgs...)
		settle(true, e.take(in, 9)...)
		synctest.Wait()
		assert.Equal(t, 1, e.log.count("read window full"))
		assert.Equal(t, 1, e.log.count("read window has room again"))
	})
}

// A handler may keep its run for days, because a destination is down. Its claim kept a
// cursor and what it had read ahead, at the cost of the other destinations' memory.
func TestKeptRunHoldsNothingReadAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Config{liveBytes: 1})
		b := e.Broker.(*broker)
		e.publish("u", 0, 30)
		r := e.reads(group, "")
		m, part := r.run()
		assert.Equal(t, numbers(0, 8), payloads(part.Messages))
		held := r.sub.(*subscriber).subscriptions()[0].account
		synctest.Wait()
		assert.Greater(t, b.budget.used.Load(), held.held.Load())
		open := e.faults.open.Load()
		after(2 * fullRelease)
		assert.Equal(t, held.held.Load(), b.budget.used.Load())
		assert.Equal(t, open-1, e.faults.open.Load())
		m.Ack()
		r.gets(numbers(8, 22)...)
		e.done(group)
	})
}

// Likewise the claims of its other partitions, that wait for room.
func TestClaimWithoutRoomHoldsNothingReadAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Config{liveBytes: 1})
		b := e.Broker.(*broker)
		e.publish("u", 0, 30)
		r := e.reads(group, "")
		m, _ := r.run()
		held := r.sub.(*subscriber).subscriptions()[0].account
		held.messages.Add(1) // of another partition
		r.sub.Bound(1)
		m.Ack()
		synctest.Wait()
		assert.Greater(t, b.budget.used.Load(), held.held.Load())
		after(2 * fullRelease)
		assert.Zero(t, b.budget.used.Load())
		held.messages.Add(-1)
		r.sub.Bound(0)
		r.gets(numbers(8, 22)...)
		e.done(group)
	})
}

// With PartitionOrder the window holds one message: that it is full was told for
// nearly every event.
func TestFullWindowOfOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Config{PartitionOrder: true})
		e.publish("u", 0, 100)
		_, in := e.subscribe()
		for range 99 {
			m := e.receive(in)
			after(stallAfter / 2) // an attempt
			settle(true, m)
		}
		assert.Zero(t, e.log.count("read window"))
		m := e.receive(in)
		after(2 * stallAfter)
		assert.Equal(t, 1, e.log.count("read window full"))
		settle(true, m)
		synctest.Wait()
		assert.Equal(t, 1, e.log.count("read window has room again"))
	})
}

// With PartitionOrder one message is in flight, also one that is nacked.
func TestPartitionOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Config{PartitionOrder: true})
		e.publish("a", 0, 2)
		e.publish("b", 2, 1)
		_, in := e.subscribe()
		acked := false // the first is nacked once
		for _, want := range []string{"0", "0", "1", "2"} {
			m := e.receive(in)
			assert.Equal(t, want, string(m.Payload))
			synctest.Wait()
			select {
			case m := <-in:
				require.FailNow(t, "two in flight", "%s", m.Payload)
			default:
			}
			settle(acked, m)
			acked = true
		}
	})
}

// What is done of a partition that moves counts, while its attempts have their grace;
// what is not comes to the next owner.
func TestGraceOfAMove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Config{})
		e.publish("u", 0, 2)
		s, in := e.subscribe()
		msgs := e.take(in, 2)
		first := msgs[0].Context()
		e.faults.move()
		<-first.Done()
		later := infra.Grace(first)
		require.NoError(t, later.Err(), "the attempt goes on")
		settle(true, msgs[0])
		began := time.Now()
		<-later.Done()
		assert.Equal(t, attemptGrace, time.Since(began))
		settle(false, msgs[1])
		again := e.receive(in)
		assert.Equal(t, "1", string(again.Payload))
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		<-again.Context().Done()
		<-infra.Grace(again.Context()).Done() // at once: a stop has drained for as long as it may
		assert.Equal(t, attemptGrace, time.Since(began))
		settle(false, again)
		require.NoError(t, <-closed)
	})
}

// A handler that does not return is left behind, after ReleaseTimeout or what
// AllowRelease made of it, and its late ack does not count.
func TestHandlerThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Config{ReleaseTimeout: time.Minute})
		e.AllowRelease(2 * time.Minute)
		e.AllowRelease(time.Second)
		e.publish("u", 0, 1)
		s, in := e.subscribe()
		m := e.receive(in)
		began := time.Now()
		require.NoError(t, s.Close())
		assert.Equal(t, 2*time.Minute, time.Since(began))
		assert.Equal(t, 1, e.log.count("handlers did not stop in time"))
		settle(true, m)
		after(time.Second)
		assert.EqualValues(t, 1, e.lag())
	})
}

// With receipts there is no goroutine, timer or context of a message's own.
func TestReceiptsCostNoGoroutines(t *testing.T) {
	e := newEnv(t, Config{WindowKey: 1000})
	_, in := e.subscribe()
	e.publish("u", 0, 1)
	settle(true, e.receive(in))
	e.lags(0)
	before := runtime.NumGoroutine()
	e.publish("u", 1, 500)
	msgs := e.take(in, 500)
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5)
	assert.Equal(t, msgs[0].Context().Done(), msgs[1].Context().Done())
	settle(true, msgs...)
	e.lags(0)
}

// Many owners of a partition in turn, each of whom is cut off somewhere: nothing is
// lost, and what is done never comes again.
func TestRestartsRepeatNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{NackDelay: time.Millisecond})
	const cycles, each = 20, 40
	done, next := map[string]int{}, 0
	for cycle := range cycles {
		for k := range 10 {
			e.publish("user-"+strconv.Itoa(k), next, each/10)
			next += each / 10
		}
		s, in := e.subscribe()
		for i := range each {
			m := e.receive(in)
			if i%7 == cycle%7 {
				settle(false, m) // comes again in this cycle or in a later one
				continue
			}
			done[string(m.Payload)]++
			settle(true, m)
		}
		require.NoError(t, s.Drain(t.Context()))
		require.NoError(t, s.Close())
	}
	s, in := e.subscribe()
	for len(done) < next {
		m := e.receive(in)
		done[string(m.Payload)]++
		settle(true, m)
	}
	require.NoError(t, s.Close())
	for payload, n := range done {
		assert.Equal(t, 1, n, "message %s", payload)
	}
}
