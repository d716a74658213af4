package router

import (
	"time"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/schedule"
)

// pause starts no attempt from now on; resume ends that. Those under way go on. since is
// when somebody asked for it.
func (s *scheduler) pause(since time.Time) {
	now := s.lock()
	s.paused = since
	s.m.Pause(now)
	s.unlock(now)
}

func (s *scheduler) resume() {
	now := s.lock()
	s.paused = time.Time{}
	s.m.Resume()
	s.unlock(now)
}

// letGo ends a hold; false: there is none.
func (s *scheduler) letGo(accept bool) bool {
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

func (s *scheduler) retryNow(key func(string) bool) (w Waits) {
	now := s.lock()
	defer s.unlock(now)
	w.Pause, w.Backoffs = s.m.RetryNow(now, matching(key))
	return w
}

// retryWaits is what retryNow would end.
func (s *scheduler) retryWaits(key func(string) bool) (w Waits) {
	now := s.lock()
	defer s.unlock(now)
	w.Pause, w.Backoffs = s.m.Waits(now, matching(key))
	return w
}

// scheduled is what a scheduler looks like now.
type scheduled struct {
	held, slots   int // messages without a verdict; attempts under way
	paused        bool
	breaker       schedule.BreakerState
	hold          schedule.HoldState
	blocked       map[string]int // keys that something waits behind, by reason
	oldestBlocked time.Time      // zero: none
}

// state is asked at each scrape.
func (s *scheduler) state() scheduled {
	now := s.lock()
	defer s.unlock(now)
	out := scheduled{slots: s.m.Slots(), paused: s.m.Paused(), breaker: s.m.Breaker(), hold: s.m.Hold()}
	out.held, _ = s.m.Held()
	out.blocked, out.oldestBlocked = s.m.Blocked(now)
	return out
}

// look tells of one key, and of the first that wait behind it; false: there is nothing
// of it.
func (s *scheduler) look(key string, behind int) (schedule.Look, bool) {
	now := s.lock()
	defer s.unlock(now)
	l, there := s.m.Look(now, key, behind)
	if l.Reason == metrics.WaitPaused && s.paused.After(l.Since) {
		l.Since = s.paused
	}
	return l, there
}

// waitSince is a key and since when it waits.
type waitSince struct {
	key   string
	since time.Time
}

// waiting are the keys that something waits behind, or whose first delivery waits for
// more than an attempt under way, in no order.
func (s *scheduler) waiting() (keys []waitSince) {
	now := s.lock()
	defer s.unlock(now)
	s.m.Each(now, func(l schedule.Brief) {
		switch {
		case !l.Blocked.IsZero():
			keys = append(keys, waitSince{l.Key, l.Blocked})
		case l.Reason != metrics.WaitAttempt || l.Tries > 0:
			keys = append(keys, waitSince{l.Key, l.Since})
		}
	})
	return keys
}
