package schedule

import (
	"sync/atomic"
	"time"

	"eventserver/metrics"
)

// Attempt is what Start has begun.
type Attempt struct {
	Deliveries []*Delivery // one; several: a batch, those of a key side by side and in order
	Store      bool        // no attempt: the delivery was given up, and is to be stored
	Began      time.Time

	pass    pass
	episode int // of the breaker
	phase   phase
	settled atomic.Bool
	one     [1]*Delivery
}

// Settle is called before the deliveries of an attempt are settled. false: the attempt was
// left behind, and they have been.
func (a *Attempt) Settle() bool { return a.settled.CompareAndSwap(false, true) }

// phase of an attempt.
type phase uint8

const (
	started phase = iota
	ended         // its slot is free
	finished
)

// Number counts the attempts of a delivery, from 1.
func (d *Delivery) Number() int {
	if d.History == nil {
		return 1
	}
	return d.History.Tries + 1
}

// Outcome of an attempt, as the breaker sees it.
type Outcome uint8

// Outcomes.
const (
	Nothing     Outcome = iota // it says nothing of the destination
	Success                    // it took the event
	Final                      // it answers, and does not want the event
	Unavailable                // the destination is at fault
	Failed                     // any other failure
)

// Verdict is what becomes of a delivery.
type Verdict struct {
	Kind  Kind
	Until time.Time // nothing before; zero: at once
	Err   error     // History.Err; nil: as before
	Given any       // of Store: History.Given
	Note  any       // History.Note; nil: as before
}

// Kind of a verdict.
type Kind uint8

// Kinds.
const (
	Gone    Kind = iota // it is done or went back: the caller has settled it
	Backoff             // another attempt
	Store               // it is given up, and the broker has not taken it yet
	Blocked             // another attempt; what failed is ours, not the destination's
	Apart               // an attempt by itself; its batch failed, and nobody knows by whose fault
	Single              // an attempt by itself; none was made
	Company             // as before: another of its batch had to go back
)

// note writes a verdict down.
func (v *Verdict) note(m *Machine, d *Delivery) {
	if d.History == nil { // also of Company: its receiver may have seen it
		m.tried++
	}
	h := d.history()
	if v.Kind == Company {
		return
	}
	h.until, h.waits, h.alone = 0, backoff, true
	if !v.Until.IsZero() {
		h.until = m.at(v.Until)
	}
	if v.Note != nil {
		h.Note = v.Note
	}
	if v.Err != nil {
		h.Err = v.Err
	}
	switch v.Kind {
	case Store:
		h.Given, h.waits = v.Given, broker
	case Blocked:
		h.waits = broker
	case Apart:
		h.Tries++
		h.excused = true
	}
}

// throttled is how many times an event may be told to come later, while others
// succeed, until that spends one of its attempts.
const throttled = 10

// End takes the outcome of an attempt: its slot is free and the breaker is told. The
// delivery's History says whose fault a failure was.
//
// An Unavailable after others have succeeded, with no pause between, is the event's own
// fault; one that names a time to come again is so only when it repeats, because a
// receiver that limits its rate refuses whoever comes next.
func (m *Machine) End(now time.Time, a *Attempt, o Outcome, asked Asked, cause error) {
	if a.phase != started || a.Store {
		return
	}
	a.phase = ended
	m.slots--
	m.ending++
	t := m.at(now)
	d := a.Deliveries[0]
	m.breaker.report(m, t, a, d.key.name, o, asked, cause)
	alone := d.key.name
	if len(a.Deliveries) > 1 {
		alone = ""
	}
	m.guard.Report(t, a, alone, o, cause)
	if o == Nothing || o == Success || len(a.Deliveries) > 1 {
		return
	}
	h := d.history()
	h.Tries++
	if h.First.IsZero() {
		h.First = a.Began
	}
	h.Last, h.Err, h.excused, h.held = now, cause, false, false
	switch o {
	case Unavailable:
		free, successes := a.pass == passFree, m.breaker.successes
		blamed := false
		if h.Unavailable > 0 && h.free && free && successes > h.successes {
			h.suspect++
			blamed = asked.Wait == 0 || h.suspect%throttled == 0
		}
		h.free, h.successes = free, successes
		if !blamed {
			h.Unavailable++
			h.excused = true
			return
		}
	case Final:
		h.held = m.guard.Held()
		return
	}
	h.Counted++
	h.Age += now.Sub(a.Began)
}

// Held reports whether the last failure was a final answer that gives nothing up: the
// destination is held.
func (h *History) Held() bool { return h.held }

// Excused reports whether the last failure was the destination's fault.
func (h *History) Excused() bool { return h.excused }

// Start takes what may be attempted, or stored, now and fills in a, which is empty.
// false: nothing may.
func (m *Machine) Start(now time.Time, a *Attempt) bool {
	t := m.at(now)
	m.wake(t)
	if m.draining {
		return false
	}
	a.Began = now
	if k := m.stores.first; k != nil && m.ending < m.cfg.Concurrency {
		m.take(t, a, k)
		a.Store, a.phase = true, ended
		m.ending++
		return true
	}
	next := m.next(t)
	if next.reason != "" || next.of == nil {
		return false
	}
	if next.of == &m.company {
		m.gather(t, a)
	} else {
		m.take(t, a, next.of.first)
	}
	m.rate.take(t, len(a.Deliveries))
	a.pass, a.episode = m.breaker.pass(), m.breaker.episode
	m.guard.Start(a)
	m.probes(a)
	m.slots++
	m.breaker.settle(m)
	return true
}

// take has the first delivery of a key attempted.
func (m *Machine) take(t time.Duration, a *Attempt, k *key) {
	m.unplace(k)
	k.state, k.since, k.taken, k.attempt = attempting, t, 1, a
	m.count(t, k, false)
	if k.head.History == nil {
		m.tried++
	}
	a.one[0] = k.head
	a.Deliveries = a.one[:]
}

// choice is what is attempted next, or why nothing is.
type choice struct {
	of     *queue        // nil: nothing is ready
	reason string        // metrics.Wait...; "": it may be attempted
	until  time.Duration // the reason ends; 0: not known
}

// next chooses. What is ready waits for all of this together, in this order.
func (m *Machine) next(t time.Duration) choice {
	single, company := m.singles.first, m.company.first
	if single == nil && company == nil {
		return choice{}
	}
	c := choice{of: &m.singles}
	gathered := company != nil && m.gathered(t)
	if single == nil || gathered && company.since < single.since {
		c.of = &m.company
	}
	if c.reason, c.until = m.shut(t); c.reason != "" {
		return c
	}
	n := 1
	if c.of == &m.company {
		if !gathered {
			c.reason, c.until = metrics.WaitBatch, company.since+m.cfg.Batch.MaxWait
			return c
		}
		n = min(m.inCompany, m.cfg.Batch.MaxEvents)
	}
	if at := m.rate.next(t, n); at > t {
		c.reason, c.until = metrics.WaitRateLimit, at
	}
	return c
}

// shut is why no attempt starts, whatever is ready; "": one may.
func (m *Machine) shut(t time.Duration) (reason string, until time.Duration) {
	if m.paused {
		return metrics.WaitPaused, 0
	}
	if ok, until := m.breaker.lets(t); !ok {
		return metrics.WaitBreaker, until
	}
	if ok, until := m.guard.Lets(t); !ok {
		return metrics.WaitHeld, until
	}
	if m.slots >= m.cfg.Concurrency {
		return metrics.WaitSlot, 0
	}
	if m.ending >= m.cfg.Concurrency { // handlers wait for the broker
		return metrics.WaitBroker, 0
	}
	return "", 0
}

// Due is when Start wants to be asked again although nothing happens; false: never.
func (m *Machine) Due(now time.Time) (time.Time, bool) {
	if m.draining {
		return time.Time{}, false
	}
	due, there := time.Duration(0), false
	if len(m.times) > 0 {
		due, there = m.times[0].due, true
	}
	if c := m.next(m.at(now)); c.until > 0 && (!there || c.until < due) {
		due, there = c.until, true
	}
	return m.time(due), there
}
