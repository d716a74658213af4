package schedule

// probes looks at an attempt that starts. A probe is starved when it takes a key that failed
// before, because no other key is ready. The events of a few users may fill all places and
// fail for ever: then those of other users must come nearer.
func (m *Machine) probes(a *Attempt) {
	if a.pass != passProbe && !m.guard.Held() {
		m.extra = 0
		return
	}
	if a.Deliveries[0].History == nil || m.untried() {
		return
	}
	m.starved = m.held
	m.extra += m.held
}

// untried reports whether a key is ready whose first delivery was never attempted.
func (m *Machine) untried() bool {
	for _, q := range []*queue{&m.singles, &m.company} {
		for k := q.first; k != nil; k = k.links[inQueue].next {
			if k.head.History == nil {
				return true
			}
		}
	}
	return false
}

// Starved is how many deliveries were held when a probe was starved; 0: none was since the
// last call.
func (m *Machine) Starved() int {
	n := m.starved
	m.starved = 0
	return n
}
