package attempt

import (
	"testing"
	"time"

	"eventserver/metrics"
)

func TestRecentIsARing(t *testing.T) {
	var r Recent
	if got := r.Of("e", "u"); got != nil {
		t.Errorf("nothing was added: %+v", got)
	}
	at := time.Unix(1000, 0)
	r.add("first", "u", metrics.Delivered, 1, at)
	r.add("twice", "u", metrics.Poisoned, 10, at)
	r.add("twice", "u", metrics.Delivered, 2, at.Add(time.Second))
	if got := r.Of("twice", "u"); len(got) != 2 || got[0].Outcome != metrics.Delivered || got[0].Attempts != 2 || !got[1].At.Equal(at) {
		t.Errorf("twice: %+v", got)
	}
	r.add("e", "u2", metrics.Poisoned, 3, at)
	if r.Of("e", "u") != nil || len(r.Of("e", "u2")) != 1 || len(r.Of("e", "")) != 1 {
		t.Error("events of two users that have one id are told apart by their key")
	}
	for range recentSize - 3 {
		r.add("other", "u", metrics.Delivered, 1, at)
	}
	if r.Of("first", "u") != nil || len(r.Of("twice", "u")) != 1 && len(r.Of("twice", "u")) != 2 {
		t.Errorf("first: %+v, twice: %+v", r.Of("first", "u"), r.Of("twice", "u"))
	}
}

func BenchmarkRecent(b *testing.B) {
	b.ReportAllocs()
	var r Recent
	now := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.add("01KB0A7Z3M9QF8V5X2C4D6E7G8", "u", metrics.Delivered, 1, now)
		}
	})
}
