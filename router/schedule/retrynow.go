package schedule

import (
	"slices"
	"time"
)

// RetryNow ends the pause of the breaker and of the hold, and the backoffs of the keys whose
// first delivery matches; it returns whether there was one, and how many there were. One that
// matches is the probe. Whoever asks for it has reason to think that the receiver is
// well, so the pauses begin anew. A probe that is under way is left alone, and so is a
// pause by hand.
func (m *Machine) RetryNow(now time.Time, match func(*Delivery) bool) (pause bool, backoffs int) {
	t := m.at(now)
	keys := m.backingOff(match)
	slices.SortFunc(keys, func(a, b *key) int { return int(a.due - b.due) })
	for _, k := range keys {
		for d := k.head; d != nil; d = d.next {
			if h := d.History; h != nil && h.waits == backoff {
				h.until = 0
			}
		}
		m.awake(k, t)
	}
	if !m.pausing(t) {
		return false, len(keys)
	}
	for _, q := range []*queue{&m.singles, &m.company} {
		for k := q.first; k != nil; k = k.links[inQueue].next {
			if match(k.head) {
				q.remove(k)
				q.unshift(k)
				break
			}
		}
	}
	if b := &m.breaker; b.pausing(t) {
		b.until, b.pause = t, b.cfg.Initial/2 // a probe that fails doubles it
	}
	m.guard.RetryNow(t)
	return true, len(keys)
}

// Waits is what RetryNow would end.
func (m *Machine) Waits(now time.Time, match func(*Delivery) bool) (pause bool, backoffs int) {
	return m.pausing(m.at(now)), len(m.backingOff(match))
}

func (m *Machine) backingOff(match func(*Delivery) bool) (keys []*key) {
	for _, k := range m.times {
		if k.state == backoff && match(k.head) {
			keys = append(keys, k)
		}
	}
	return keys
}

func (m *Machine) pausing(t time.Duration) bool { return m.breaker.pausing(t) || m.guard.Pausing(t) }

// pausing reports whether there is a pause that RetryNow would end.
func (b *breaker) pausing(t time.Duration) bool { return b.state == open && !b.probing && t < b.until }
