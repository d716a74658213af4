package checker

import "fmt"

// attempts is what one delivery has been through. An event server counts the
// attempts of a delivery in memory, so its number falls back to 1 after a crash
// or when another process takes over: a new run.
type attempts struct {
	seen  int // all of them
	all   int // that count towards the limit
	run   int // of these, since the number last fell back
	last  int // number of the last
	fresh int // runs
}

// Limit sets how many attempts one run may have.
func (c *Checker) Limit(attempts int) {
	c.mu.Lock()
	c.limit = attempts
	c.mu.Unlock()
}

// Attempt notes that destination was sent the user's event number n, and
// returns how many times it was before. number is the attempt's own number.
func (c *Checker) Attempt(destination, user string, n, number int) (before int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stream(destination, user)
	a := s.attempts[n]
	if a == nil {
		a = &attempts{}
		s.attempts[n] = a
	}
	if number <= a.last || a.fresh == 0 {
		a.run = 0
		a.fresh++
	}
	a.last = number
	a.seen++
	c.v.MostRuns = max(c.v.MostRuns, a.fresh)
	return a.seen - 1
}

// Spend notes that the last Attempt counts towards the limit, which one that
// is answered 429 or 503 does not.
func (c *Checker) Spend(destination, user string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.stream(destination, user).attempts[n]
	if a == nil {
		return
	}
	a.run++
	a.all++
	c.v.MostAttempts = max(c.v.MostAttempts, a.all)
	if c.limit > 0 && a.run > c.limit {
		c.v.Overruns++
		c.v.Overrun = example(c.v.Overrun, fmt.Sprintf("%s: event %d of %s: attempt %d of at most %d", destination, n, user, a.run, c.limit))
	}
}
