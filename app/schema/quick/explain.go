package quick

import "slices"

// faults are what a run that explains has found: the first in the order of the
// event, and how many there are.
type faults struct {
	first *problem
	n     int
	each  func(*problem) // nil: nobody wants them all
	seen  map[visit]bool
}

// place is the value i of a container; zero is the event itself.
type place struct {
	container any
	i         int
}

// visit is the key of what one schema says of the value at a place: there each
// fault is reported once.
type visit struct {
	rules *rules
	place
}

func (f *faults) recall(r *run, s *rules, seen *evaluated) (valid, known bool) {
	if !s.shared {
		return false, false
	}
	valid, known = f.seen[visit{s, r.at}]
	if known && !valid {
		r.bad++
	}
	// What is valid has no faults to report twice, but says what it has evaluated.
	return valid, known && (!valid || seen == nil)
}

func (f *faults) remember(r *run, s *rules, valid bool) {
	if !s.shared || len(f.seen) >= maxRemembered || !r.spend(4) {
		return
	}
	if f.seen == nil {
		f.seen = map[visit]bool{}
	}
	f.seen[visit{s, r.at}] = valid
}

// explain finds the faults of v, which is at path in the event.
func (r *run) explain(s *rules, v any, path []int, each func(*problem)) *faults {
	was := *r
	f := &faults{each: each}
	r.faults, r.bad, r.at, r.path = f, 0, place{}, slices.Clone(path)
	s.ok(r, v, nil)
	r.faults, r.bad, r.at, r.path = was.faults, was.bad, was.at, was.path
	return f
}

// decides says whether the first fault ends the run.
func (r *run) decides() bool { return r.faults == nil }

// decide asks only whether v is valid: its faults are none of the event's.
func (r *run) decide(s *rules, v any) bool { return r.decideHere(s, v, nil) }

func (r *run) decideHere(s *rules, v any, seen *evaluated) bool {
	f := r.faults
	r.faults = nil
	valid := s.here(r, v, seen)
	r.faults = f
	return valid
}

// refuses reports that s refuses the value by a rule, and says whether that ends
// the run. counts are what the rule's text tells.
func (r *run) refuses(s *rules, rule string, counts ...int) bool {
	if r.faults != nil {
		p := problem{rules: s, rule: rule, path: r.path}
		copy(p.counts[:], counts)
		r.report(&p)
	}
	return r.decides()
}

// refusesMember is of the member i or its name.
func (r *run) refusesMember(s *rules, rule, name string, i int) bool {
	if r.faults != nil {
		r.report(&problem{rules: s, rule: rule, name: name, path: append(r.path, i)})
	}
	return r.decides()
}

// refusesMissing is of a member that because needs.
func (r *run) refusesMissing(s *rules, rule, name, because string, nth int) bool {
	if r.faults != nil {
		r.report(&problem{rules: s, rule: rule, name: name, because: because, nth: nth, path: r.path})
	}
	return r.decides()
}

// report keeps a copy of p only where somebody wants it: an event can have
// millions of faults.
func (r *run) report(p *problem) {
	if !r.spend(4) {
		return
	}
	f := r.faults
	r.bad++
	f.n++
	first := f.first == nil || p.compare(f.first) < 0
	if !first && f.each == nil {
		return
	}
	kept := *p
	kept.path = slices.Clone(p.path)
	if first {
		f.first = &kept
	}
	if f.each != nil {
		f.each(&kept)
	}
}
