package attempt

import (
	"testing"
	"time"

	"eventserver/destinations"
	"eventserver/router/routertest"
)

func TestBackoffIsExponentialWithFullJitter(t *testing.T) {
	r := Retry{Initial: 100 * time.Millisecond, Max: 3 * time.Second}
	for n := 1; n <= 200; n++ {
		ceiling := r.Max
		if n <= 5 { // 100 ms << 5 is above 3 s
			ceiling = r.Initial << (n - 1)
		}
		var least, most time.Duration = time.Hour, 0
		for range 2000 {
			w := r.backoff(n)
			least, most = min(least, w), max(most, w)
		}
		if most > ceiling || most < ceiling*9/10 || least > ceiling/10 {
			t.Fatalf("try %d: waits from %v to %v, want anything up to %v", n, least, most, ceiling)
		}
	}
}

// Where the claim has ended nothing begins: the grace is for what is under way.
func TestNoAttemptBeginsInTheGrace(t *testing.T) {
	ctx, end, _ := routertest.Claim(t)
	end()
	attempt, cancel := attemptContext(ctx, time.Hour)
	defer cancel()
	if attempt.Err() == nil {
		t.Error("an attempt begins")
	}
}

// A time to come made a latency negative, and a sum of latencies fall.
func TestForeignTime(t *testing.T) {
	now := time.Now()
	for _, d := range []destinations.Delivery{{ReceivedAt: now.Add(time.Hour)}, {ReceivedAt: now, RedrivenAt: now.Add(time.Hour)}} {
		if at := since(&d, now); !at.Equal(now) {
			t.Errorf("%s", at)
		}
	}
}
