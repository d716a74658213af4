package schedule

import "time"

// Batch lets a destination take several deliveries in one attempt. Those of one
// key are in order in it, and a key has deliveries in one attempt at a time.
type Batch struct {
	MaxEvents int           // deliveries of an attempt; 0: no batches; 1: batches of one
	MaxWait   time.Duration // for more to come after the first; default 5 ms
	MaxBytes  int           // of their bodies; default 1 MiB
}

// WithDefaults fills in what is zero.
func (b Batch) WithDefaults() Batch {
	if b.MaxWait <= 0 {
		b.MaxWait = 5 * time.Millisecond
	}
	if b.MaxBytes <= 0 {
		b.MaxBytes = 1 << 20
	}
	return b
}

// On reports whether the destination is given batches, be it of one.
func (b Batch) On() bool { return b.MaxEvents > 0 }

// company reports whether deliveries go together.
func (b Batch) company() bool { return b.MaxEvents > 1 }

// gathered reports whether the keys in company make a batch now: it is full, or the
// first of them has waited as long as it may.
func (m *Machine) gathered(t time.Duration) bool {
	b := &m.cfg.Batch
	return m.inCompany >= b.MaxEvents || m.companyBytes >= b.MaxBytes || t >= m.company.first.since+b.MaxWait
}

// gather has deliveries of the first keys attempted together, as many as fit.
func (m *Machine) gather(t time.Duration, a *Attempt) {
	b := &m.cfg.Batch
	a.Deliveries = make([]*Delivery, 0, min(m.inCompany, b.MaxEvents))
	bytes := 0
	for k := m.company.first; k != nil; {
		then, took := k.links[inQueue].next, int32(0)
		for d := k.head; d != nil && fits(b, a.Deliveries, bytes, d); d = d.next {
			a.Deliveries = append(a.Deliveries, d)
			bytes += d.size()
			took++
			if d.History == nil {
				m.tried++
			}
		}
		if took == 0 {
			return
		}
		m.unplace(k)
		k.state, k.since, k.taken, k.attempt = attempting, t, took, a
		m.count(t, k, false)
		k = then
	}
}

// fits reports whether a delivery goes with those that there are. The first always does.
func fits(b *Batch, with []*Delivery, bytes int, d *Delivery) bool {
	return len(with) == 0 || len(with) < b.MaxEvents && bytes+d.size() <= b.MaxBytes && !d.isAlone()
}
