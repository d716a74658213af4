package pubsub

import (
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// budget is the memory that all subscriptions of a broker share for what they have
// read and not finished. Who holds most stops reading first: an account may hold as
// much as is free. With n that want all they can get, each ends at one part in n+1,
// and one part is left for the next (Choudhury and Hahne's dynamic threshold). A
// quarter of the budget is kept for floors, so that none is starved by those that came
// before.
type budget struct {
	total    int64
	used     atomic.Int64
	accounts atomic.Int64

	mu      sync.Mutex
	starved map[*account]struct{} // that have claims which wait for room
	wakeAt  int64                 // used, at which all of them look again
	waiting atomic.Int64          // len(starved)
}

// wakeShare is what must have become free before all that wait look again, as a
// share of the budget. One whose own messages end looks at once.
const wakeShare = 64

func newBudget(total int64) *budget {
	return &budget{total: total, starved: map[*account]struct{}{}}
}

// account is one subscription's part of the budget.
type account struct {
	budget   *budget
	held     atomic.Int64 // bytes of what was handed out, or is about to be
	messages atomic.Int64 // likewise
	most     atomic.Int64 // messages that it may hold; 0: no bound of its own

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

// limit is how many bytes the account may hold.
func (a *account) limit() int64 {
	b := a.budget
	used := b.used.Load()
	floor := min(b.total/4/max(b.accounts.Load(), 1), b.total-used+a.held.Load())
	return max(floor, b.total/4*3-used, 1)
}

// share is how much of its limits the account has taken. One that holds nothing may
// always have one message, however large.
func (a *account) share() float64 {
	n := a.messages.Load()
	if n == 0 {
		return 0
	}
	share := float64(a.held.Load()) / float64(a.limit())
	if most := a.most.Load(); most > 0 {
		share = max(share, float64(n)/float64(most))
	}
	return share
}

// room is how many bytes may be read, at least one.
func (a *account) room() int { return int(max(a.limit()-a.held.Load(), 1)) }

// hold charges n messages of so many bytes; negative: they are done.
func (a *account) hold(n, bytes int) {
	a.messages.Add(int64(n))
	a.held.Add(int64(bytes))
	a.charge(bytes)
}

// charge charges bytes that are held and not handed out yet; negative: no longer.
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

// bound sets how many messages the account may hold; 0: no bound of its own.
func (a *account) bound(most int) {
	a.most.Store(int64(most))
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	a.wake()
}

// wait has c woken when there may be room. The caller looks once more then, because
// there may have been before.
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

// wake has the claims of every account look again. The caller holds mu.
func (b *budget) wake() {
	for a := range b.starved {
		a.wake()
	}
}

// wake is for a caller that holds budget.mu.
func (a *account) wake() {
	for c := range a.claims {
		c.wake()
	}
	a.budget.forget(a)
}

// forget is for a caller that holds mu.
func (b *budget) forget(a *account) {
	clear(a.claims)
	delete(b.starved, a)
	b.waiting.Store(int64(len(b.starved)))
}

// messageCost is what a message takes beside the bytes of its record, while it waits
// for its turn: as a message with its headers in a map, in the tracker of its
// partition, and in the queue of its key. 1,289 bytes were measured of an event with
// seven headers (TestMessageCost), and a tenth is margin.
const messageCost = 1408

// madeCost is what a message takes that was made of another one.
func madeCost(m *message.Message) int { return messageCost + sizeOfMessage(m) }

// costOf is what a record takes of the budget.
func costOf(rec *infra.Record) int { return messageCost + sizeOf(rec) }
