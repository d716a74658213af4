package admin

import (
	"container/list"
	"sync"
)

// crowd bounds the clients that the server waits for. When one too many comes,
// the one that has been waited for longest is cut off: clients that are slow on
// purpose cut off each other, and one that is quick is gone before its turn.
type crowd struct {
	most int

	mu     sync.Mutex
	oldest list.List // of func(): each cuts its client off
}

// enter returns what takes the client out again. cut may be called until then; it
// must not block.
func (c *crowd) enter(cut func()) (leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	me := c.oldest.PushBack(cut)
	if c.oldest.Len() > c.most {
		if first, ok := c.oldest.Remove(c.oldest.Front()).(func()); ok {
			first()
		}
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.oldest.Remove(me) // does nothing where it was cut off
	}
}
