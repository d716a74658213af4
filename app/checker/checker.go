package checker

import (
	"fmt"
	"sync"
)

// Checker knows every event by its user and its number: a user's events are
// 1, 2, 3, ... in the order of their acceptance. Safe for concurrent use.
type Checker struct {
	destinations []string

	mu       sync.Mutex
	accepted map[string]int        // by user
	excused  map[string]bool       // users whose events need not arrive
	streams  map[streamKey]*stream // what arrived
	v        Verdict
}

type streamKey struct{ destination, user string }

// stream is what one destination received of one user.
type stream struct {
	highest int     // number of the latest first delivery
	stored  []int64 // by number-1: 1 + sequence of the first delivery; 0: none came
	again   map[copyKey]bool
}

// copyKey is a second stored copy of an event: its client got no answer and
// sent it again.
type copyKey struct {
	n        int
	sequence int64
}

// New makes a checker for the destinations that every event must reach.
func New(destinations ...string) *Checker {
	return &Checker{destinations: destinations, accepted: map[string]int{}, excused: map[string]bool{}, streams: map[streamKey]*stream{}}
}

// Accept notes that the user's events up to number n were accepted.
func (c *Checker) Accept(user string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.v.Accepted += n - c.accepted[user]
	c.accepted[user] = n
}

// Excuse exempts a user from the count of losses: its deliveries are meant to
// end in the poison queue.
func (c *Checker) Excuse(user string) {
	c.mu.Lock()
	c.excused[user] = true
	c.mu.Unlock()
}

// Deliver notes that destination received the user's event number n, stored at
// sequence (0 where it is not known). It reports whether it was the first time.
func (c *Checker) Deliver(destination, user string, n int, sequence int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := streamKey{destination, user}
	s := c.streams[key]
	if s == nil {
		s = &stream{}
		c.streams[key] = s
	}
	for len(s.stored) < n {
		s.stored = append(s.stored, 0)
	}
	if first := s.stored[n-1]; first != 0 {
		c.repeat(s, n, first-1, sequence)
		return false
	}
	s.stored[n-1] = 1 + sequence
	c.v.Delivered++
	if n < s.highest {
		c.v.OrderBreaks++
		if len(c.v.Breaks) < 5 {
			c.v.Breaks = append(c.v.Breaks, fmt.Sprintf("%s: event %d of %s came after %d", destination, n, user, s.highest))
		}
	}
	s.highest = max(s.highest, n)
	return true
}

// repeat tells an event that was delivered again from one that is stored twice.
func (c *Checker) repeat(s *stream, n int, first, sequence int64) {
	copied := copyKey{n, sequence}
	if sequence == first || s.again[copied] {
		c.v.Duplicates++
		return
	}
	if s.again == nil {
		s.again = map[copyKey]bool{}
	}
	s.again[copied] = true
	c.v.StoredTwice++
}

// Delivered is the number of first deliveries so far, of all destinations.
func (c *Checker) Delivered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.v.Delivered
}

// Verdict is the checker's result.
type Verdict struct {
	Accepted    int      `json:"accepted"`
	Delivered   int      `json:"delivered"` // first deliveries, of all destinations
	Lost        int      `json:"lost"`
	Duplicates  int      `json:"duplicates"`   // deliveries that came again
	StoredTwice int      `json:"stored_twice"` // deliveries of events that their client had sent again
	OrderBreaks int      `json:"order_breaks"` // first deliveries that came after a later one of their user
	Breaks      []string `json:"breaks,omitempty"`
	Missing     []string `json:"missing,omitempty"`
}

// OK reports whether the promises held. A duplicate breaks none.
func (v Verdict) OK() bool { return v.Lost == 0 && v.OrderBreaks == 0 }

func (v Verdict) String() string {
	return fmt.Sprintf("accepted %d, delivered %d, lost %d, duplicates %d, order breaks %d",
		v.Accepted, v.Delivered, v.Lost, v.Duplicates, v.OrderBreaks)
}

// Verdict judges what has come so far: what has not yet come is lost.
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
				if s != nil && n <= len(s.stored) && s.stored[n-1] != 0 {
					continue
				}
				v.Lost++
				if len(v.Missing) < 5 {
					v.Missing = append(v.Missing, fmt.Sprintf("%s: event %d of %s", d, n, user))
				}
			}
		}
	}
	return v
}
