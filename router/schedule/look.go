package schedule

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/metrics"
)

// Look is what there is of a key.
type Look struct {
	Key     string
	Reason  string             // metrics.Wait...: why its first delivery is not done
	Since   time.Time          // it waits for that
	Next    time.Time          // it goes on then; zero: not known
	Waiting int                // deliveries behind the first, or behind those in its attempt
	Blocked time.Time          // since when something waits behind; zero: nothing does
	First   *message.Message   // the first delivery
	Behind  []*message.Message // the first ones that follow it, those in its attempt too
	All     int                // how many follow it
	Tries   int                // attempts made of the first
	Started bool               // it is in an attempt, or being stored
	History History            // of the first; its zero value: no attempt has failed
}

// Look tells of one key, and of that many of its deliveries; false: there is none.
func (m *Machine) Look(now time.Time, name string, behind int) (Look, bool) {
	k, there := m.keys[name]
	if !there {
		return Look{}, false
	}
	l := m.look(m.at(now), k)
	l.Next = m.nextOf(m.at(now), k, l.Reason)
	l.All = int(k.n) - 1
	if h := k.head.History; h != nil {
		l.History = *h
	}
	for d := k.head.next; d != nil && len(l.Behind) < behind; d = d.next {
		l.Behind = append(l.Behind, d.Message)
	}
	return l, true
}

// Each tells of all keys, in no order, without times to come, histories and what follows the
// first delivery of each.
func (m *Machine) Each(now time.Time, f func(Look)) {
	t := m.at(now)
	for _, k := range m.keys {
		f(m.look(t, k))
	}
}

func (m *Machine) look(t time.Duration, k *key) Look {
	l := Look{Key: k.name, Since: m.time(k.since), Waiting: k.waiting(), First: k.head.Message, Reason: m.reason(t, k)}
	l.Started = k.state == attempting
	if h := k.head.History; h != nil {
		l.Tries = h.Tries
	}
	if l.Waiting > 0 && l.Reason != metrics.WaitBatch { // they may go with the first
		l.Blocked = m.time(k.blocked)
	}
	switch l.Reason {
	case metrics.WaitPaused:
		l.Since = m.time(max(k.since, m.pausedAt))
	case metrics.WaitBreaker:
		l.Since = m.time(max(k.since, m.breaker.since))
	}
	return l
}

func (m *Machine) reason(t time.Duration, k *key) string {
	switch k.state {
	case backoff:
		return metrics.WaitBackoff
	case broker:
		return metrics.WaitBroker
	case attempting:
		return metrics.WaitAttempt
	}
	switch reason, _ := m.shut(t); {
	case reason != "":
		return reason
	case m.rate.next(t, 1) > t:
		return metrics.WaitRateLimit
	case k.queue == &m.company:
		return metrics.WaitBatch
	default:
		return metrics.WaitAttempt // it starts in a moment
	}
}

// nextOf is when a key goes on.
func (m *Machine) nextOf(t time.Duration, k *key, reason string) time.Time {
	switch {
	case k.index >= 0:
		return m.time(k.due)
	case reason == metrics.WaitBreaker && m.breaker.state == open:
		return m.time(m.breaker.until)
	case reason == metrics.WaitRateLimit:
		before := 0
		for other := k.queue.first; other != k; other = other.then {
			before++
		}
		return m.time(m.rate.next(t, 1) + m.rate.tokens(before))
	case reason == metrics.WaitBatch:
		return m.time(k.since + m.cfg.Batch.MaxWait)
	}
	return time.Time{}
}
