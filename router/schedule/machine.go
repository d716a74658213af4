package schedule

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/metrics"
)

// Config bounds the attempts of a destination. The caller fills in the defaults.
type Config struct {
	Concurrency int // attempts at once
	Rate        Rate
	Breaker     Breaker
	Batch       Batch
	FloodGuard  int // keys that meet a final answer in a row, none succeeding, until all is held; 0: never
}

// Machine has the deliveries of a destination, by key. A key has one attempt at a
// time, and its deliveries are attempted in the order of their arrival.
//
//	        Arrive          Start              Finish, nothing behind
//	(none) ───────▶ ready ───────▶ attempting ─────────────────────▶ (none)
//	                  ▲               │ Finish, something behind ──▶ ready
//	                  │ its time      │ Finish, again at a time
//	              backoff, broker ◀───┘
//
// What a ready key waits for is nothing of its own: the pause, the breaker, the hold, a slot,
// the rate or company for its batch. So all ready keys wait in the order in which
// they became ready, and cost nothing but their place.
//
// It is not safe for concurrent use.
type Machine struct {
	cfg   Config
	start time.Time // times are kept as distances from it

	keys    map[string]*key
	singles queue // ready keys whose first delivery goes by itself
	company queue // ready keys whose first delivery may go with others
	stores  queue // keys whose first delivery was given up, and is to be stored now
	times   times // keys that wait for a time

	inCompany, companyBytes int // deliveries of the keys in company

	held      int // deliveries that have no verdict, or whose verdict the caller is still to pass on
	heldBytes int
	slots     int // attempts that have not ended
	ending    int // attempts that have ended, and stores, that are not finished
	paused    bool
	pausedAt  time.Duration
	draining  bool
	rate      bucket
	breaker   breaker
	guard     Guard
	blocked   blocked
	tried     int // of held: those that are in an attempt or have been
	away      int // of held: those that GiveBack took out
	starved   int // what Starved answers
	extra     int // of Most, for probes of other keys
	back      []*Delivery
	notices   []Notice
}

// New makes a machine without deliveries.
func New(cfg Config, now time.Time) *Machine {
	return &Machine{cfg: cfg, start: now, keys: map[string]*key{}, rate: newBucket(cfg.Rate), breaker: newBreaker(cfg.Breaker, cfg.Concurrency),
		guard: NewGuard(cfg.FloodGuard, cfg.Breaker), blocked: blocked{list: list{kind: amongBlocked}}}
}

func (m *Machine) at(now time.Time) time.Duration { return now.Sub(m.start) }

// time is the other way round. The zero of a distance is not a time that is asked for.
func (m *Machine) time(t time.Duration) time.Time { return m.start.Add(t) }

// Arrive takes a delivery behind those of its key. false: it goes back at once, because
// its claim has ended or the machine drains.
func (m *Machine) Arrive(now time.Time, name string, msg *message.Message, claim *Claim) bool {
	if m.draining || claim.isOver() {
		return false
	}
	t := m.at(now)
	d := &Delivery{Message: msg, claim: claim}
	m.held++
	m.heldBytes += d.size()
	k, there := m.keys[name]
	if !there {
		k = &key{name: name, index: -1}
		m.keys[name] = k
	}
	k.push(d)
	d.key = k
	if !there {
		m.place(k, t)
	} else if k.queue == &m.company {
		m.inCompany++
		m.companyBytes += d.size()
	}
	m.count(t, k, false)
	return true
}

// Finish ends what Start began: with the verdict of the only delivery, or of each of
// a batch in its order. A delivery whose verdict is Gone has been settled by the
// caller. When the machine drains the others go back (Back).
func (m *Machine) Finish(now time.Time, a *Attempt, verdicts ...Verdict) {
	t := m.at(now)
	if a.phase == started {
		m.End(now, a, Nothing, Asked{}, nil)
	}
	m.ending--
	a.phase = finished
	for i := 0; i < len(a.Deliveries); {
		k, from := a.Deliveries[i].key, i
		for i < len(a.Deliveries) && a.Deliveries[i].key == k {
			i++
		}
		m.finishKey(t, k, a.Deliveries[from:i], verdicts[from:i])
	}
	m.breaker.settle(m)
}

// finishKey goes on with a key: with those of its deliveries that are not gone, then
// with what waited behind them.
func (m *Machine) finishKey(t time.Duration, k *key, of []*Delivery, verdicts []Verdict) {
	rest := of[len(of)-1].next
	k.head, k.tail = rest, k.lastOf(rest)
	k.taken, k.attempt = 0, nil
	for i := len(of) - 1; i >= 0; i-- {
		d, v := of[i], &verdicts[i]
		d.next = nil
		if d.History == nil {
			m.tried--
		}
		switch {
		case v.Kind == Gone:
			m.drop(k, d)
			m.held--
		case m.draining || d.claim.isOver():
			m.drop(k, d)
			m.back = append(m.back, d)
		default:
			v.note(m, d)
			k.unshift(d)
		}
	}
	if k.n == 0 {
		m.forget(t, k)
		return
	}
	m.place(k, t)
	m.count(t, k, k.head != of[0])
}

// forget is for a key that has nothing any more.
func (m *Machine) forget(t time.Duration, k *key) {
	m.count(t, k, false)
	delete(m.keys, k.name)
}

// drop forgets a delivery that is no longer in the list of its key.
func (m *Machine) drop(k *key, d *Delivery) {
	k.n--
	k.size -= d.size()
	m.heldBytes -= d.size()
	if d.History != nil {
		m.tried--
	}
}

// place puts a key that has nothing in an attempt where its first delivery belongs.
func (m *Machine) place(k *key, t time.Duration) {
	h := k.head.History
	k.since = t
	switch {
	case h != nil && h.until > t:
		k.state, k.due = h.waits, h.until
		m.times.push(k)
	case h != nil && h.Given != nil:
		k.state = broker
		m.stores.push(k)
	case m.cfg.Batch.company() && !k.head.isAlone():
		k.state = ready
		m.company.push(k)
		m.inCompany += int(k.n)
		m.companyBytes += k.size
	default:
		k.state = ready
		m.singles.push(k)
	}
}

// unplace takes a key from where place put it.
func (m *Machine) unplace(k *key) {
	if k.index >= 0 {
		m.times.remove(k)
	}
	if k.queue == nil {
		return
	}
	if k.queue == &m.company {
		m.inCompany -= int(k.n)
		m.companyBytes -= k.size
	}
	k.queue.remove(k)
}

// wake moves the keys whose time has come.
func (m *Machine) wake(t time.Duration) {
	for len(m.times) > 0 && m.times[0].due <= t {
		m.awake(m.times[0], t)
	}
}

// awake ends the wait of a key. What an event waits for by its own fault ages it.
func (m *Machine) awake(k *key, t time.Duration) {
	m.times.remove(k)
	h := k.head.History
	if k.state == backoff && !h.excused {
		h.Age += min(t, k.due) - k.since
	}
	h.until = 0
	m.place(k, t)
	m.count(t, k, false)
}

// Drain starts nothing more, and has everything go back that is in no attempt (Back).
func (m *Machine) Drain(now time.Time) {
	m.draining = true
	m.sweep(m.at(now), func(*Delivery) bool { return true })
}

// Abandon gives up waiting for attempts after Drain: their deliveries go back (Back). Those
// that are being settled are left.
func (m *Machine) Abandon(now time.Time) {
	var left []*Attempt
	for _, k := range m.keys {
		if k.attempt != nil && k.attempt.Settle() {
			left = append(left, k.attempt)
		}
	}
	for _, a := range left {
		verdicts := make([]Verdict, len(a.Deliveries))
		for i := range verdicts {
			verdicts[i].Kind = Company
		}
		m.Finish(now, a, verdicts...)
	}
}

// EndClaim has everything of a claim go back that is in no attempt (Back).
func (m *Machine) EndClaim(now time.Time, c *Claim) {
	c.over = true
	m.sweep(m.at(now), func(d *Delivery) bool { return d.claim == c })
}

// sweep takes out the deliveries that are in no attempt and match.
func (m *Machine) sweep(t time.Duration, match func(*Delivery) bool) {
	for _, k := range m.keys {
		if !k.has(match) {
			continue
		}
		head := k.head
		if k.taken == 0 {
			m.unplace(k)
		}
		k.filter(func(d *Delivery) bool {
			if !match(d) {
				return true
			}
			m.drop(k, d)
			m.back = append(m.back, d)
			return false
		})
		if k.n == 0 {
			m.forget(t, k)
			continue
		}
		if since := k.since; k.taken == 0 {
			m.place(k, t)
			if k.head == head {
				k.since = since
			}
		}
		m.count(t, k, k.head != head)
	}
	m.breaker.settle(m)
}

// Back takes the deliveries that go back to the broker. The caller settles them, and
// says so by Released.
func (m *Machine) Back() []*Delivery {
	back := m.back
	m.back = nil
	return back
}

// Released counts deliveries of Back as settled.
func (m *Machine) Released(n int) { m.held -= n }

// Held is how many deliveries have no verdict, and the bytes of their payloads.
func (m *Machine) Held() (deliveries, bytes int) { return m.held, m.heldBytes }

// Busy is how many attempts and stores are not finished.
func (m *Machine) Busy() int { return m.slots + m.ending }

// Slots is how many attempts have not ended.
func (m *Machine) Slots() int { return m.slots }

// Most is how many deliveries the machine wants to hold: 0 is no bound of its own. While
// nothing is attempted but a probe, by a pause, a hold or the breaker, more are of no use.
// Those that were attempted take no place of the others: one of those is the next probe.
// Others may all wait behind those: each starved probe (probes) makes room for more.
func (m *Machine) Most() int {
	if m.paused || m.guard.Held() || m.breaker.state == open {
		return m.cfg.Concurrency + m.tried + m.extra
	}
	return 0
}

// Stopped is why nothing is attempted but a probe, metrics.Wait...; "": attempts may
// start, or there is nothing to attempt.
func (m *Machine) Stopped() string {
	held, _ := m.Held()
	switch {
	case held == 0:
		return ""
	case m.paused:
		return metrics.WaitPaused
	case m.breaker.state == open:
		return metrics.WaitBreaker
	case m.guard.Held():
		return metrics.WaitHeld
	}
	return ""
}

// Pause starts no attempt until Resume. Attempts under way go on, and what was given up
// is stored.
func (m *Machine) Pause(now time.Time) {
	if !m.paused {
		m.paused, m.pausedAt = true, m.at(now)
	}
}

// Resume ends a pause.
func (m *Machine) Resume() { m.paused = false }

// Paused reports whether there is a pause by hand.
func (m *Machine) Paused() bool { return m.paused }
