package schedule

import (
	"math"
	"time"
)

// Rate bounds the attempts a second of one destination; of a batch each event counts.
// PerSecond 0 is no limit.
type Rate struct {
	PerSecond float64
	Burst     int // default: PerSecond, at least 1
}

// bucket is a rate limit in whole nanoseconds (the generic cell rate algorithm): full
// is when all tokens are back.
type bucket struct {
	interval time.Duration // of a token; 0: no limit
	burst    int
	full     time.Duration
}

func newBucket(r Rate) bucket {
	if r.PerSecond <= 0 {
		return bucket{}
	}
	burst := r.Burst
	if burst <= 0 {
		burst = max(1, int(math.Min(r.PerSecond, math.MaxInt32)))
	}
	interval := time.Duration(math.Min(math.Round(float64(time.Second)/r.PerSecond), float64(maxInterval)))
	return bucket{interval: interval, burst: burst}
}

// maxInterval is a year: longer ones would overflow when they are multiplied.
const maxInterval = 365 * 24 * time.Hour

// tokens is the time that n tokens take to come back.
func (b *bucket) tokens(n int) time.Duration {
	if b.interval > 0 && n > int(math.MaxInt64/2/b.interval) {
		return math.MaxInt64 / 2
	}
	return time.Duration(n) * b.interval
}

// next is when n tokens are there. More than the burst are there when that is: the rest
// is owed.
func (b *bucket) next(t time.Duration, n int) time.Duration {
	if b.interval == 0 {
		return t
	}
	return max(t, max(b.full, t)-b.tokens(b.burst-min(n, b.burst)))
}

// take takes n tokens.
func (b *bucket) take(t time.Duration, n int) {
	if b.interval > 0 {
		b.full = max(b.full, t) + b.tokens(n)
	}
}
