package schedule

import (
	"time"

	"eventserver/metrics"
)

// blocked is the keys that something waits behind, those that have been so for longest
// first: a key that begins to be blocked, or that moved, goes to the end. How many there
// are for each reason is counted, because it is asked at each scrape.
type blocked struct {
	list
	n [places]int
}

// place of a blocked key.
type place uint8

const (
	nowhere place = iota
	inSingles
	inCompany
	inAttempt
	inBackoff
	inBroker
	places
)

func (m *Machine) placeOf(k *key) place {
	if k.n == 0 || k.waiting() == 0 {
		return nowhere
	}
	return m.where(k)
}

// count is called after a key has changed; moved: those behind wait for another delivery.
func (m *Machine) count(t time.Duration, k *key, moved bool) {
	b := &m.blocked
	was := k.counted
	k.counted = m.placeOf(k)
	b.n[was]--
	b.n[k.counted]++
	if was != nowhere && (moved || k.counted == nowhere) {
		b.remove(k)
	}
	if k.counted != nowhere && (moved || was == nowhere) {
		k.blocked = t
		b.push(k)
	}
}

// Blocked counts the keys that something waits behind, by reason, metrics.Wait..., and
// tells since when the first of them does; zero: there is none. Those whose deliveries may
// go together are not among them while they gather.
func (m *Machine) Blocked(now time.Time) (by map[string]int, oldest time.Time) {
	t, b := m.at(now), &m.blocked
	by = map[string]int{}
	for where, n := range b.n {
		if n == 0 || place(where) == nowhere {
			continue
		}
		reason := m.reason(t, place(where))
		by[reason] += n
	}
	delete(by, metrics.WaitBatch)
	if len(by) > 0 {
		oldest = m.time(b.first.blocked)
	}
	return by, oldest
}

// reason is what the keys of a place wait for.
func (m *Machine) reason(t time.Duration, where place) string {
	switch where {
	case inBackoff:
		return metrics.WaitBackoff
	case inBroker:
		return metrics.WaitBroker
	case inAttempt:
		return metrics.WaitAttempt
	}
	switch reason, _ := m.shut(t); {
	case reason != "":
		return reason
	case m.rate.next(t, 1) > t:
		return metrics.WaitRateLimit
	case where == inCompany:
		return metrics.WaitBatch
	default:
		return metrics.WaitAttempt // it starts in a moment
	}
}
