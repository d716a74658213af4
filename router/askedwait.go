package router

import (
	"errors"
	"math/rand/v2"
	"time"

	"eventserver/destinations"
)

// ask is the time that a receiver asked for before the next attempt, as in
// Retry-After. The zero value: it asked for none.
type ask struct {
	wait    time.Duration
	atLeast bool // it named no time: this is the least, and longer is as good
}

func askOf(err error) ask {
	var after *destinations.RetryAfterError
	if !errors.As(err, &after) {
		return ask{}
	}
	return ask{max(after.Wait, 0), after.AtLeast}
}

// named reports whether the receiver named a time. One that names none, or says at
// once, is asked again as if it had said nothing.
func (a ask) named() bool { return a.wait > 0 && !a.atLeast }

// spread is the most by which the attempts that were told the same time come later
// than that, each otherwise. None comes sooner.
const spread = 250 * time.Millisecond

// probe is how long to pause all attempts, where it would be otherwise without the
// receiver's word. It needs no jitter: one attempt follows, and the others by twos.
func (a ask) probe(otherwise time.Duration) time.Duration {
	if a.named() {
		return a.wait
	}
	return max(otherwise, a.wait)
}

// backoff is how long one event waits, where it would be otherwise.
func (a ask) backoff(otherwise time.Duration) time.Duration {
	if a.named() {
		return a.wait + rand.N(min(a.wait/10, spread)+1)
	}
	return max(otherwise, a.wait)
}
