package checker

import "fmt"

// Verdict is the checker's result.
type Verdict struct {
	Accepted    int `json:"accepted"`
	Delivered   int `json:"delivered"` // first deliveries, of all destinations
	Lost        int `json:"lost"`
	Duplicates  int `json:"duplicates"`   // deliveries that came again
	StoredTwice int `json:"stored_twice"` // deliveries of events that their client had sent again
	OrderBreaks int `json:"order_breaks"` // first deliveries that came after a later one of their user

	Poisoned      int `json:"poisoned,omitempty"`       // deliveries found in a poison queue
	PoisonedAgain int `json:"poisoned_again,omitempty"` // that were there already
	Wronged       int `json:"wronged,omitempty"`        // poisoned that should not have been
	Foreign       int `json:"foreign,omitempty"`        // came and were not posted so
	Overruns      int `json:"overruns,omitempty"`       // attempts beyond the limit
	MostAttempts  int `json:"most_attempts,omitempty"`  // of one delivery, all its runs together
	MostRuns      int `json:"most_runs,omitempty"`      // how often a delivery was begun anew

	// The first few of each fault.
	Breaks  []string `json:"breaks,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Wrong   []string `json:"wrong,omitempty"`
	Strange []string `json:"strange,omitempty"`
	Overrun []string `json:"overrun,omitempty"`
}

// OK reports whether the promises held. A duplicate breaks none.
func (v Verdict) OK() bool {
	return v.Lost == 0 && v.OrderBreaks == 0 && v.Wronged == 0 && v.Foreign == 0 && v.Overruns == 0
}

// Faults are the first few of every kind.
func (v Verdict) Faults() []string {
	var all []string
	for _, some := range [][]string{v.Missing, v.Breaks, v.Wrong, v.Strange, v.Overrun} {
		all = append(all, some...)
	}
	return all
}

func (v Verdict) String() string {
	return fmt.Sprintf("accepted %d, delivered %d, lost %d, duplicates %d, order breaks %d",
		v.Accepted, v.Delivered, v.Lost, v.Duplicates, v.OrderBreaks)
}

// Verdict judges what has come so far: what has not yet come, and is in no
// poison queue, is lost.
func (c *Checker) Verdict() Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.v
	for user, accepted := range c.accepted {
		if c.excused[user] {
			continue
		}
		for _, d := range c.destinations {
			s := c.streams[streamKey{d, user}]
			for n := 1; n <= accepted; n++ {
				if s.has(n) || (s != nil && s.poisoned[n]) {
					continue
				}
				v.Lost++
				v.Missing = example(v.Missing, fmt.Sprintf("%s: event %d of %s", d, n, user))
			}
		}
	}
	return v
}
