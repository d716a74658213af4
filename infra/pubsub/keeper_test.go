package pubsub

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// Progress that is not kept is kept later, also when nothing more is done. It is
// said once.
func TestKeepIsTriedAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 3)
	_, in := e.subscribe()
	var tries atomic.Int64
	fault(&e.faults.keep, func([]infra.Progressed) error {
		if tries.Add(1) <= 3 {
			return errTest
		}
		return nil
	})
	settle(true, e.take(in, 3)...)
	e.lags(0)
	assert.GreaterOrEqual(t, tries.Load(), int64(4))
	assert.Equal(t, 1, e.log.count("cannot keep progress; trying again"))
}

// A Keep that takes long holds up neither what is handed out nor the last word of
// the claim, which it does not overtake.
func TestSlowKeep(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 10)
	s, in := e.subscribe()
	begun, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	fault(&e.faults.keep, func([]infra.Progressed) error {
		if calls.Add(1) == 1 {
			close(begun)
			<-release
		}
		return nil
	})
	settle(true, e.receive(in))
	<-begun
	settle(true, e.take(in, 9)...)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	e.eventually("the claim waits for the Keep", func() bool { return s.Stats().Partitions == 0 })
	select {
	case <-closed:
		require.FailNow(t, "the claim ended before its Keep")
	default:
	}
	close(release)
	require.NoError(t, <-closed)
	assert.Zero(t, e.lag())
	positions := e.faults.positions()
	assert.EqualValues(t, 1, positions[0])
	assert.EqualValues(t, 10, positions[len(positions)-1])
}

// The last word of a claim is tried again as well.
func TestLastKeepIsTriedAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 3)
	s, in := e.subscribe()
	msgs := e.take(in, 3)
	var failing atomic.Bool
	failing.Store(true)
	fault(&e.faults.keep, func(p []infra.Progressed) error {
		if failing.Load() && p[0].Position.Next == 3 {
			failing.Store(false)
			return errTest
		}
		return nil
	})
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-msgs[0].Context().Done()
	settle(true, msgs...)
	require.NoError(t, <-closed)
	assert.Zero(t, e.lag())
	assert.False(t, failing.Load())
}

// A hundred acks are a few Keeps.
func TestKeepsAreGathered(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{WindowKey: 1000})
	e.publish("u", 0, 500)
	_, in := e.subscribe()
	begun, release := make(chan struct{}, 500), make(chan struct{})
	fault(&e.faults.keep, func([]infra.Progressed) error {
		begun <- struct{}{}
		<-release
		return nil
	})
	msgs := e.take(in, 500)
	settle(true, msgs[0])
	<-begun
	settle(true, msgs[1:]...)
	close(release)
	e.lags(0)
	assert.LessOrEqual(t, len(e.faults.positions()), 3)
}

// A partition that was lost is another's: its handlers get no grace, and nothing
// that they finish is kept any more.
func TestLostClaimKeepsNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	e.publish("u", 0, 3)
	s, in := e.subscribe()
	msgs := e.take(in, 3)
	settle(true, msgs[0])
	e.lags(2)
	kept := len(e.faults.positions())
	later := infra.Grace(msgs[1].Context())
	e.faults.lose()
	<-msgs[1].Context().Done()
	<-later.Done()
	settle(true, msgs[1:]...)
	e.eventually("the claim ends", func() bool { return s.Stats().Partitions == 0 })
	assert.Len(t, e.faults.positions(), kept)
	assert.EqualValues(t, 2, e.lag())
}
