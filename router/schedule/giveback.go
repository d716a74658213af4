package schedule

import "time"

// Excess is how many deliveries are to be given back: those beyond Most. A breaker that
// has just opened mostly closes again soon, and what was given back is read once more: it
// has to last for longer than its first pause.
func (m *Machine) Excess() int {
	b := &m.breaker
	if m.draining || !m.paused && !m.guard.Held() && (b.state != open || b.until-b.since <= b.cfg.Initial) {
		return 0
	}
	return max(0, m.held-m.away-m.Most())
}

// GiveBack takes out as many deliveries as Excess says, none of which was ever attempted:
// always the last ones of their keys, and first those that would be attempted last. The
// caller gives them back, says so by GivenBack, and lets none of their keys arrive before
// them.
func (m *Machine) GiveBack(now time.Time) (out []*Delivery) {
	n, t := m.Excess(), m.at(now)
	if n == 0 {
		return nil
	}
	for _, k := range m.keys {
		if k.queue != &m.singles && k.queue != &m.company {
			out = m.cut(t, k, n-len(out), out)
		}
	}
	for _, q := range []*queue{&m.company, &m.singles} {
		for k := q.last; k != nil && len(out) < n; {
			before := k.links[inQueue].prev
			out = m.cut(t, k, n-len(out), out)
			k = before
		}
	}
	m.away += len(out)
	m.breaker.settle(m)
	return out
}

// GivenBack counts deliveries of GiveBack as given back.
func (m *Machine) GivenBack(n int) {
	m.away -= n
	m.held -= n
}

// cut takes the last deliveries out of a key, at most n, as far as they were never attempted.
func (m *Machine) cut(t time.Duration, k *key, n int, out []*Delivery) []*Delivery {
	at, keep := 0, int(k.taken)
	for d := k.head; d != nil; d = d.next {
		if at++; d.History != nil {
			keep = max(keep, at)
		}
	}
	keep = max(keep, int(k.n)-n)
	if keep == int(k.n) {
		return out
	}
	of := k.queue
	if keep == 0 {
		m.unplace(k)
		of = nil
	}
	at = int(k.taken)
	k.filter(func(d *Delivery) bool {
		at++
		if at <= keep {
			return true
		}
		m.drop(k, d)
		if of == &m.company {
			m.inCompany--
			m.companyBytes -= d.size()
		}
		out = append(out, d)
		return false
	})
	if keep == 0 {
		m.forget(t, k)
	} else {
		m.count(t, k, false)
	}
	return out
}
