package pubsub

import (
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// budget is the memory that all subscriptions of a broker share for unfinished messages.
// An account may hold as much as is free, so the largest holder stops reading first. n
// accounts that want everything each end at one part in n+1, and one part is left for the
// next (Choudhury and Hahne's dynamic threshold). A quarter of the budget is kept for
// floors, so that earlier accounts do not starve later ones.
type budget struct {
	total    int64
	used     atomic.Int64
	accounts atomic.Int64

	mu      sync.Mutex
	starved map[*account]struct{} // that have claims which wait for room
	wakeAt  int64                 // value of used at which all are woken
	waiting atomic.Int64          // len(starved)
}

// wakeShare is the share of the budget that must become free before all waiting claims are
// woken. A claim whose own messages end is woken at once.
const wakeShare = 64

func newBudget(total int64) *budget {
	return &budget{total: total, starved: map[*account]struct{}{}}
}

// account is one subscription's part of the budget.
type account struct {
	budget      *budget
	held        atomic.Int64 // bytes handed out, or about to be
	messages    atomic.Int64 // likewise
	maxMessages atomic.Int64 // messages that it may hold; 0: no bound of its own

	claims map[*claim]struct{} // that wait for room; budget.mu
}

func (b *budget) open() *account {
	b.accounts.Add(1)
	return &account{budget: b, claims: map[*claim]struct{}{}}
}

// close is called when the account holds nothing.
func (a *account) close() {
	a.budget.accounts.Add(-1)
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	a.budget.forget(a)
	a.budget.wake()
}

// limit is the maximum number of bytes of the account.
func (a *account) limit() int64 {
	b := a.budget
	used := b.used.Load()
	floor := min(b.total/4/max(b.accounts.Load(), 1), b.total-used+a.held.Load())
	return max(floor, b.total/4*3-used, 1)
}

// share is the used share of the account's limits. An empty account may always take one
// message, however large.
func (a *account) share() float64 {
	n := a.messages.Load()
	if n == 0 {
		return 0
	}
	share := float64(a.held.Load()) / float64(a.limit())
	if limit := a.maxMessages.Load(); limit > 0 {
		share = max(share, float64(n)/float64(limit))
	}
	return share
}

// room is the number of bytes that may be read, at least one.
func (a *account) room() int { return int(max(a.limit()-a.held.Load(), 1)) }

// hold charges n messages with this number of bytes; negative numbers release.
func (a *account) hold(n, bytes int) {
	a.messages.Add(int64(n))
	a.held.Add(int64(bytes))
	a.charge(bytes)
}

// charge charges bytes that are not handed out yet; negative numbers release.
func (a *account) charge(bytes int) {
	b := a.budget
	used := b.used.Add(int64(bytes))
	if bytes >= 0 || b.waiting.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if used <= b.wakeAt {
		b.wake()
	} else if len(a.claims) > 0 && a.share() < 1 {
		a.wake()
	}
}

// bound sets the maximum number of messages of the account; 0: no limit.
func (a *account) bound(limit int) {
	a.maxMessages.Store(int64(limit))
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	a.wake()
}

// wait registers c to be woken when there may be room. The caller then checks once more,
// because room may have come before.
func (a *account) wait(c *claim) {
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.starved) == 0 {
		b.wakeAt = b.used.Load() - b.total/wakeShare
	}
	a.claims[c] = struct{}{}
	b.starved[a] = struct{}{}
	b.waiting.Store(int64(len(b.starved)))
}

// wake wakes the waiting claims of every account. The caller holds mu.
func (b *budget) wake() {
	for a := range b.starved {
		a.wake()
	}
}

// wake wakes the waiting claims. The caller holds budget.mu.
func (a *account) wake() {
	for c := range a.claims {
		c.wake()
	}
	a.budget.forget(a)
}

// forget clears the waiting claims of an account. The caller holds mu.
func (b *budget) forget(a *account) {
	clear(a.claims)
	delete(b.starved, a)
	b.waiting.Store(int64(len(b.starved)))
}

// messageCost is the memory of a waiting message beside the bytes of its record: the
// message with its headers in a map, and its places in the tracker of its partition and in
// the queue of its key. 1,289 bytes were measured for an event with seven headers
// (TestMessageCost), and a tenth is margin.
const messageCost = 1408

// outputCost is the memory of a message that was made of another one.
func outputCost(m *message.Message) int { return messageCost + sizeOfMessage(m) }

// costOf is the charge of a record.
func costOf(rec *infra.Record) int { return messageCost + sizeOf(rec) }
