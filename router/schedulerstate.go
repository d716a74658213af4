package router

import (
	"time"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/schedule"
)

// pause starts no attempt from now on; resume ends that. Those under way go on.
func (s *scheduler) pause(n Note) {
	now := s.lock()
	s.note = n
	s.m.Pause(now)
	s.unlock(now)
}

func (s *scheduler) resume() {
	now := s.lock()
	s.note = Note{}
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

// look tells of one key; false: there is nothing of it.
func (s *scheduler) look(key string) (schedule.Look, bool) {
	now := s.lock()
	defer s.unlock(now)
	l, there := s.m.Look(now, key, behindShown)
	if l.Reason == metrics.WaitPaused && s.note.At.After(l.Since) {
		l.Since = s.note.At
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
