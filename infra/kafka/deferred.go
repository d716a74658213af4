package kafka

import (
	"maps"
	"slices"
)

// Deferred implements infra.Subscriber.
func (s *subscriber) Deferred(key string) (n int) {
	s.mu.Lock()
	subs := s.subs
	s.mu.Unlock()
	for _, sub := range subs {
		sub.mu.Lock()
		claims := slices.Collect(maps.Keys(sub.claims))
		sub.mu.Unlock()
		for _, c := range claims {
			n += c.deferredOf(key)
		}
	}
	return n
}

func (c *claim) deferredOf(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.behind[key]; k != nil {
		return k.deferred
	}
	return 0
}
