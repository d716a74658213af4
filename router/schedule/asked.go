package schedule

import (
	"math/rand/v2"
	"time"
)

// Asked is the time that a receiver asked for before the next attempt, as in
// Retry-After. The zero value: it asked for none.
type Asked struct {
	Wait    time.Duration
	AtLeast bool // it named no time: this is the least, and longer is as good
}

// named reports whether the receiver named a time. One that names none, or says at
// once, is asked again as if it had said nothing.
func (a Asked) named() bool { return a.Wait > 0 && !a.AtLeast }

// spread is the most by which the attempts that were told the same time come later
// than that, each otherwise. None comes sooner.
const spread = 250 * time.Millisecond

// probe is how long to pause all attempts, where it would be otherwise without the
// receiver's word. It needs no jitter: one attempt follows, and the others by and by.
func (a Asked) probe(otherwise time.Duration) time.Duration {
	if a.named() {
		return a.Wait
	}
	return max(otherwise, a.Wait)
}

// Backoff is how long one event waits, where it would be otherwise.
func (a Asked) Backoff(otherwise time.Duration) time.Duration {
	if a.named() {
		return a.Wait + rand.N(min(a.Wait/10, spread)+1)
	}
	return max(otherwise, a.Wait)
}
