package pubsub

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testMessage = 1 << 10

// greedy holds messages until it may not hold more.
func greedy(a *account) {
	for a.share() < 1 {
		a.hold(1, testMessage)
	}
}

func TestBudgetIsSharedByTheHungry(t *testing.T) {
	b := newBudget(16 << 20)
	accounts := make([]*account, 20)
	for i := range accounts {
		accounts[i] = b.open()
	}
	for range 1000 { // they read by turns, a few messages each time
		for _, a := range accounts {
			for range 16 {
				if a.share() < 1 {
					a.hold(1, testMessage)
				}
			}
		}
	}
	held := make([]int64, len(accounts))
	for i, a := range accounts {
		held[i] = a.held.Load()
	}
	for _, h := range held {
		assert.InDelta(t, float64(held[0]), float64(h), 32*testMessage)
	}
	assert.LessOrEqual(t, b.used.Load(), b.total/4*3)
	late := b.open()
	greedy(late)
	assert.GreaterOrEqual(t, late.held.Load(), b.total/4/21, "who comes last has its floor")
	assert.LessOrEqual(t, b.used.Load(), b.total)
}

func TestBudgetIsNeverExceededByMoreThanAMessageEach(t *testing.T) {
	b := newBudget(4 << 20)
	var accounts []*account
	for range 50 { // each takes all it can before the next comes
		accounts = append(accounts, b.open())
		greedy(accounts[len(accounts)-1])
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		a := accounts[rnd.IntN(len(accounts))]
		if n := a.messages.Load(); rnd.IntN(2) == 0 && n > 0 {
			a.hold(-1, -testMessage)
		} else if a.share() < 1 {
			a.hold(1, testMessage)
		}
		require.LessOrEqual(t, b.used.Load(), b.total+int64(len(accounts))*testMessage)
	}
}

func TestOneMessageIsAlwaysRead(t *testing.T) {
	b := newBudget(testMessage)
	full, a := b.open(), b.open()
	full.hold(1, 100*testMessage)
	assert.Less(t, a.share(), 1.0)
	assert.Equal(t, 1, full.room())
	a.hold(1, 100*testMessage)
	assert.GreaterOrEqual(t, a.share(), 1.0)
}

// waits has a claim wait in the account, and returns a look at whether it was woken.
func waits(a *account) (woken func() bool) {
	c := &claim{wakeup: make(chan struct{}, 1)}
	a.wait(c)
	return func() bool {
		select {
		case <-c.wakeup:
			return true
		default:
			return false
		}
	}
}

func TestRoomWakesThoseThatWait(t *testing.T) {
	b := newBudget(1 << 20)
	one, other := b.open(), b.open()
	greedy(one)
	woken := waits(one)
	one.hold(-1, -testMessage)
	assert.True(t, woken(), "its own message is done")

	greedy(one)
	greedy(other)
	others := waits(other)
	one.hold(-1, -testMessage)
	assert.False(t, others())
	for !others() { // a share of the budget is free
		require.Positive(t, one.messages.Load())
		one.hold(-1, -testMessage)
	}
	assert.Less(t, other.share(), 1.0)

	greedy(other)
	others = waits(other)
	one.hold(-int(one.messages.Load()), -int(one.held.Load()))
	one.close()
	assert.True(t, others())
}

func TestBoundOfMessages(t *testing.T) {
	a := newBudget(1 << 30).open()
	a.bound(3)
	greedy(a)
	assert.EqualValues(t, 3, a.messages.Load())
	woken := waits(a)
	a.bound(0)
	assert.True(t, woken())
	assert.Less(t, a.share(), 1.0)
}
