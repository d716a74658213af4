package attempt

import (
	"time"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/schedule"
)

// Pause starts no attempt from now on; resume ends that. Those under way go on. since is
// when somebody asked for it.
func (s *Scheduler) Pause(since time.Time) {
	now := s.lock()
	s.paused = since
	s.m.Pause(now)
	s.unlock(now)
}

// Resume ends a pause.
func (s *Scheduler) Resume() {
	now := s.lock()
	s.paused = time.Time{}
	s.m.Resume()
	s.unlock(now)
}

// LetGo ends a hold; false: there is none.
func (s *Scheduler) LetGo(accept bool) bool {
	now := s.lock()
	defer s.unlock(now)
	return s.m.LetGo(accept)
}

// matching is about the key that a record has: "" where it has none.
func matching(key func(string) bool) func(*schedule.Delivery) bool {
	return func(d *schedule.Delivery) bool { return key(d.Message.Metadata.Get(infra.MetaKey)) }
}

// Waits is what a destination's next attempts wait for, of what RetryNow ends.
type Waits struct {
	Pause    bool // of the breaker or of a hold
	Backoffs int  // deliveries that wait for their next attempt
}

// RetryNow ends the pause of the breaker or of a hold, and the backoffs of the keys that
// match.
func (s *Scheduler) RetryNow(key func(string) bool) (w Waits) {
	now := s.lock()
	defer s.unlock(now)
	w.Pause, w.Backoffs = s.m.RetryNow(now, matching(key))
	return w
}

// RetryWaits is what retryNow would end.
func (s *Scheduler) RetryWaits(key func(string) bool) (w Waits) {
	now := s.lock()
	defer s.unlock(now)
	w.Pause, w.Backoffs = s.m.Waits(now, matching(key))
	return w
}

// scheduled is what a scheduler looks like now.
type scheduled struct {
	Held, Slots   int // messages without a verdict; attempts under way
	Paused        bool
	Breaker       schedule.BreakerState
	Hold          schedule.HoldState
	Blocked       map[string]int // keys that something waits behind, by reason
	OldestBlocked time.Time      // zero: none
}

// State is asked at each scrape.
func (s *Scheduler) State() scheduled {
	now := s.lock()
	defer s.unlock(now)
	out := scheduled{Slots: s.m.Slots(), Paused: s.m.Paused(), Breaker: s.m.Breaker(), Hold: s.m.Hold()}
	out.Held, _ = s.m.Held()
	out.Blocked, out.OldestBlocked = s.m.Blocked(now)
	return out
}

// Look tells of one key, and of the first that wait behind it; false: there is nothing
// of it.
func (s *Scheduler) Look(key string, behind int) (schedule.Look, bool) {
	now := s.lock()
	defer s.unlock(now)
	l, there := s.m.Look(now, key, behind)
	if l.Reason == metrics.WaitPaused && s.paused.After(l.Since) {
		l.Since = s.paused
	}
	return l, there
}

// WaitSince is a key and since when it waits.
type WaitSince struct {
	Key   string
	Since time.Time
}

// Waiting are the keys that something waits behind, or whose first delivery waits for
// more than an attempt under way, in no order.
func (s *Scheduler) Waiting() (keys []WaitSince) {
	now := s.lock()
	defer s.unlock(now)
	s.m.Each(now, func(l schedule.Brief) {
		switch {
		case !l.Blocked.IsZero():
			keys = append(keys, WaitSince{l.Key, l.Blocked})
		case l.Reason != metrics.WaitAttempt || l.Tries > 0:
			keys = append(keys, WaitSince{l.Key, l.Since})
		}
	})
	return keys
}
