package schedule

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/metrics"
)

// Brief is what there is of a key, in short.
type Brief struct {
	Key     string
	Reason  string           // metrics.Wait...: why its first delivery is not done
	Since   time.Time        // it waits for that
	Waiting int              // deliveries behind the first, or behind those in its attempt
	Blocked time.Time        // since when something waits behind; zero: nothing does
	First   *message.Message // the first delivery
	Tries   int              // attempts made of it
	Started bool             // it is in an attempt, or being stored
}

// Look is what there is of a key.
type Look struct {
	Brief

	Next    time.Time          // it goes on then; zero: not known
	Behind  []*message.Message // the first ones that follow the first, those in its attempt too
	All     int                // how many follow it
	History History            // of the first; its zero value: no attempt has failed
}

// Look tells of one key, and of that many of its deliveries; false: there is none.
func (m *Machine) Look(now time.Time, name string, behind int) (Look, bool) {
	k, there := m.keys[name]
	if !there {
		return Look{}, false
	}
	t, where := m.at(now), m.where(k)
	l := Look{Brief: m.brief(k, where, m.reason(t, where))}
	l.Next = m.nextOf(t, k, l.Reason)
	l.All = int(k.n) - 1
	if h := k.head.History; h != nil {
		l.History = *h
	}
	for d := k.head.next; d != nil && len(l.Behind) < behind; d = d.next {
		l.Behind = append(l.Behind, d.Message)
	}
	return l, true
}

// Each tells of all keys, in no order.
func (m *Machine) Each(now time.Time, f func(Brief)) {
	t := m.at(now)
	var reasons [places]string
	for where := nowhere + 1; where < places; where++ {
		reasons[where] = m.reason(t, where)
	}
	for _, k := range m.keys {
		where := m.where(k)
		f(m.brief(k, where, reasons[where]))
	}
}

func (m *Machine) brief(k *key, where place, reason string) Brief {
	b := Brief{Key: k.name, Reason: reason, Since: m.time(k.since), Waiting: k.waiting(), First: k.head.Message, Started: where == inAttempt}
	if h := k.head.History; h != nil {
		b.Tries = h.Tries
	}
	if b.Waiting > 0 && reason != metrics.WaitBatch { // they may go with the first
		b.Blocked = m.time(k.blocked)
	}
	switch reason {
	case metrics.WaitPaused:
		b.Since = m.time(max(k.since, m.pausedAt))
	case metrics.WaitBreaker:
		b.Since = m.time(max(k.since, m.breaker.since))
	case metrics.WaitHeld:
		b.Since = m.time(max(k.since, m.guard.since))
	}
	return b
}

// where is placeOf, also of a key that nothing waits behind.
func (m *Machine) where(k *key) place {
	switch {
	case k.state == attempting:
		return inAttempt
	case k.state == backoff:
		return inBackoff
	case k.state == broker:
		return inBroker
	case k.queue == &m.company:
		return inCompany
	default:
		return inSingles
	}
}

// nextOf is when a key goes on.
func (m *Machine) nextOf(t time.Duration, k *key, reason string) time.Time {
	switch {
	case k.index >= 0:
		return m.time(k.due)
	case reason == metrics.WaitBreaker && m.breaker.state == open:
		return m.time(m.breaker.until)
	case reason == metrics.WaitHeld:
		return m.time(m.guard.until)
	case reason == metrics.WaitRateLimit:
		before := 0
		for other := k.queue.first; other != k; other = other.links[inQueue].next {
			before++
		}
		return m.time(m.rate.next(t, 1) + m.rate.tokens(before))
	case reason == metrics.WaitBatch:
		return m.time(k.since + m.cfg.Batch.MaxWait)
	}
	return time.Time{}
}
