package schedule

import "pgregory.net/rapid"

// verify holds the machine's own structures against each other.
func (m *Machine) verify(t *rapid.T) {
	inCompany, bytes, waiting, tried := 0, 0, 0, 0
	var blocked [places]int
	for name, k := range m.keys {
		n, size := 0, 0
		for d := k.head; d != nil; d = d.next {
			n++
			size += d.size()
			if d.History != nil || n <= int(k.taken) {
				tried++
			}
			if d.next == nil && d != k.tail || d.key != k {
				t.Fatalf("the list of %s", name)
			}
		}
		places := 0
		for _, in := range []bool{k.index >= 0, k.queue != nil, k.taken > 0} {
			if in {
				places++
			}
		}
		switch {
		case n != int(k.n) || size != k.size || n == 0:
			t.Fatalf("%s counts %d and has %d", name, k.n, n)
		case places != 1 || (k.taken > 0) != (k.state == attempting):
			t.Fatalf("%s is in %d places", name, places)
		case k.index >= 0 && m.times[k.index] != k:
			t.Fatalf("%s is not where it says", name)
		}
		if k.index >= 0 {
			waiting++
		}
		if k.waiting() > 0 {
			blocked[m.where(k)]++
		}
		if k.queue == &m.company {
			inCompany += n
			bytes += size
		}
	}
	for where := nowhere + 1; where < places; where++ {
		if blocked[where] != m.blocked.n[where] {
			t.Fatalf("counts %v blocked keys, there are %v", m.blocked.n, blocked)
		}
	}
	for k := m.blocked.first; k != nil; k = k.links[amongBlocked].next {
		blocked[k.counted]--
		next := k.links[amongBlocked].next
		if next == nil && k != m.blocked.last || next != nil && next.blocked < k.blocked || m.keys[k.name] != k {
			t.Fatalf("%s in the list of blocked keys", k.name)
		}
	}
	if blocked != [places]int{} {
		t.Fatalf("blocked keys: %v too many or few", blocked)
	}
	if tried != m.tried {
		t.Fatalf("counts %d attempted, there are %d", m.tried, tried)
	}
	if inCompany != m.inCompany || bytes != m.companyBytes || waiting != len(m.times) {
		t.Fatalf("counts %d, %d and %d; there are %d, %d and %d", m.inCompany, m.companyBytes, len(m.times), inCompany, bytes, waiting)
	}
}
