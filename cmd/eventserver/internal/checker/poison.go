package checker

import "fmt"

// MayPoison says whether a delivery may end in the poison queue.
type MayPoison func(destination, user string, n int) bool

// PoisonOnly makes every other delivery that is found in a poison queue a fault.
func (c *Checker) PoisonOnly(mayPoison MayPoison) {
	c.mu.Lock()
	c.mayPoison = mayPoison
	c.mu.Unlock()
}

// Poison notes that destination's poison queue has the user's event number n.
// The event need not arrive there.
func (c *Checker) Poison(destination, user string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.posted) > 0 && (n < 1 || n > c.posted[user]) {
		c.foreign(fmt.Sprintf("poison of %s: event %d of %s was never posted", destination, n, user))
		return
	}
	s := c.stream(destination, user)
	if s.poisoned[n] {
		c.v.PoisonedAgain++
		return
	}
	s.poisoned[n] = true
	c.v.Poisoned++
	if c.mayPoison != nil && !c.mayPoison(destination, user, n) {
		c.v.Wronged++
		c.v.Wrong = example(c.v.Wrong, fmt.Sprintf("%s: event %d of %s was poisoned without reason", destination, n, user))
	}
}
