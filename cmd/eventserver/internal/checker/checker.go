package checker

import (
	"fmt"
	"sync"
)

// Checker knows every event by its user and its number: a user's events are
// 1, 2, 3, ... in the order of their acceptance. Safe for concurrent use.
type Checker struct {
	destinations []string

	mu        sync.Mutex
	accepted  map[string]int        // by user
	posted    map[string]int        // by user; empty: what was posted is not known
	excused   map[string]bool       // users whose events need not arrive
	streams   map[streamKey]*stream // what arrived
	limit     int                   // attempts; 0: not known
	mayPoison MayPoison             // nil: any event may be poisoned
	v         Verdict
}

type streamKey struct{ destination, user string }

// stream is what one destination received of one user.
type stream struct {
	highest  int     // number of the latest first delivery
	stored   []int64 // by number-1: 1 + sequence of the first delivery; 0: none came
	again    map[copyKey]bool
	poisoned map[int]bool
	attempts map[int]*attempts
}

// copyKey is a second stored copy of an event: its client got no answer and
// sent it again.
type copyKey struct {
	n        int
	sequence int64
}

// New makes a checker for the destinations that every event must reach.
func New(destinations ...string) *Checker {
	return &Checker{destinations: destinations, accepted: map[string]int{}, posted: map[string]int{},
		excused: map[string]bool{}, streams: map[streamKey]*stream{}}
}

// Post notes that the user's events up to number n were sent, whatever became
// of them. Once it was called, what is delivered and was not posted is a fault.
func (c *Checker) Post(user string, n int) {
	c.mu.Lock()
	c.posted[user] = max(n, c.posted[user])
	c.mu.Unlock()
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
	if len(c.posted) > 0 && (n < 1 || n > c.posted[user]) {
		c.foreign(fmt.Sprintf("%s: event %d of %s was never posted", destination, n, user))
		return false
	}
	s := c.stream(destination, user)
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
		c.v.Breaks = example(c.v.Breaks, fmt.Sprintf("%s: event %d of %s came after %d", destination, n, user, s.highest))
	}
	s.highest = max(s.highest, n)
	return true
}

func (c *Checker) stream(destination, user string) *stream {
	key := streamKey{destination, user}
	s := c.streams[key]
	if s == nil {
		s = &stream{poisoned: map[int]bool{}, attempts: map[int]*attempts{}}
		c.streams[key] = s
	}
	return s
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

// Foreign notes that something came that nobody posted, or that is not what
// was posted byte for byte.
func (c *Checker) Foreign(what string) {
	c.mu.Lock()
	c.foreign(what)
	c.mu.Unlock()
}

func (c *Checker) foreign(what string) {
	c.v.Foreign++
	c.v.Strange = example(c.v.Strange, what)
}

// example keeps the first few faults of a kind.
func example(all []string, one string) []string {
	if len(all) < 5 {
		all = append(all, one)
	}
	return all
}

// Delivered is the number of first deliveries so far, of all destinations.
func (c *Checker) Delivered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.v.Delivered
}

// Has reports whether destination has received the user's event number n.
func (c *Checker) Has(destination, user string, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[streamKey{destination, user}]
	return s.has(n)
}

func (s *stream) has(n int) bool {
	return s != nil && n <= len(s.stored) && s.stored[n-1] != 0
}
