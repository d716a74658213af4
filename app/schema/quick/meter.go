package quick

// Meter counts what the checks of the events of one request cost together, in
// steps. It is for one goroutine.
type Meter struct{ steps int64 }

// Steps is what they cost so far.
func (s *Meter) Steps() int64 { return s.steps }

// requestCosts is how often the events of one request may cost what one may.
const requestCosts = 10

// limit is what the next event may cost.
func (s *Meter) limit(one int64) int64 {
	if s == nil {
		return one
	}
	return min(one, requestCosts*one-s.steps)
}

func (s *Meter) add(r *run) {
	if s != nil {
		s.steps += r.max - max(0, r.left)
	}
}
