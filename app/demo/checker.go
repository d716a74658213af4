package demo

import (
	"fmt"
	"sync"
)

// checker compares what a destination received with what was accepted.
type checker struct {
	mu         sync.Mutex
	accepted   map[string]int            // by user: events 1..n were accepted, in that order
	received   map[string]map[string]int // by destination and event: times
	next       map[string]map[string]int // by destination and user: the number expected next
	deliveries map[string]int
	failures   map[string]int
	duplicates int
	breaks     int
}

func newChecker() *checker {
	return &checker{accepted: map[string]int{}, received: map[string]map[string]int{}, next: map[string]map[string]int{},
		deliveries: map[string]int{}, failures: map[string]int{}}
}

func (c *checker) accept(user string) {
	c.mu.Lock()
	c.accepted[user]++
	c.mu.Unlock()
}

func (c *checker) failed(destination string) {
	c.mu.Lock()
	c.failures[destination]++
	c.mu.Unlock()
}

// deliver notes that destination received the user's event number n.
func (c *checker) deliver(destination, user string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.received[destination] == nil {
		c.received[destination], c.next[destination] = map[string]int{}, map[string]int{}
	}
	c.deliveries[destination]++
	event := fmt.Sprintf("%s/%d", user, n)
	c.received[destination][event]++
	if c.received[destination][event] > 1 {
		c.duplicates++
		return
	}
	if n != c.next[destination][user]+1 {
		c.breaks++
	}
	c.next[destination][user] = n
}

// Verdict is the checker's result.
type Verdict struct{ Accepted, Delivered, Lost, Duplicates, OrderBreaks int }

// OK reports whether the promises held. A duplicate breaks none.
func (v Verdict) OK() bool { return v.Lost == 0 && v.OrderBreaks == 0 }

func (v Verdict) String() string {
	return fmt.Sprintf("accepted %d, delivered %d, lost %d, duplicates %d, order breaks %d",
		v.Accepted, v.Delivered, v.Lost, v.Duplicates, v.OrderBreaks)
}

func (c *checker) verdict(destinations []string) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := Verdict{Duplicates: c.duplicates, OrderBreaks: c.breaks}
	for user, n := range c.accepted {
		v.Accepted += n
		for _, d := range destinations {
			for i := 1; i <= n; i++ {
				if c.received[d][fmt.Sprintf("%s/%d", user, i)] == 0 {
					v.Lost++
				} else {
					v.Delivered++
				}
			}
		}
	}
	return v
}
