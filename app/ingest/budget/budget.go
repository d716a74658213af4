package budget

import (
	"errors"
	"sync/atomic"
)

// The errors of Share.Grow.
var (
	ErrUsedUp = errors.New("the memory for requests is used up")
	ErrNever  = errors.New("the memory for requests would not be enough for this one alone")
)

// Budget is the memory of all requests. It is safe for concurrent use.
type Budget struct {
	total int64
	used  atomic.Int64
}

// New returns a budget of total bytes.
func New(total int64) *Budget { return &Budget{total: total} }

// Total is the size of the budget.
func (b *Budget) Total() int64 { return b.total }

// Used is what all shares have now.
func (b *Budget) Used() int64 { return b.used.Load() }

// Connections is how many connections fit the quarter that is theirs.
func (b *Budget) Connections() int { return int(max(b.total/4/ConnectionCost, 1)) }

// limit is how much may be in use after a share has grown to held.
func (b *Budget) limit(held int64) int64 {
	if held <= SmallRequest {
		return b.total / 4 * 3
	}
	return b.total / 2
}

// Share is what one request has of a budget. One goroutine uses it at a time.
type Share struct {
	budget *Budget
	held   int64
}

// Share returns an empty one.
func (b *Budget) Share() *Share { return &Share{budget: b} }

// Grow charges n bytes more, before they are allocated. After an error nothing is
// charged.
func (s *Share) Grow(n int64) error {
	limit := s.budget.limit(s.held + n)
	if s.held+n > limit {
		return ErrNever
	}
	if s.budget.used.Add(n) > limit {
		s.budget.used.Add(-n)
		return ErrUsedUp
	}
	s.held += n
	return nil
}

// Shrink gives n bytes back.
func (s *Share) Shrink(n int64) {
	s.held -= n
	s.budget.used.Add(-n)
}

// Keep gives back all but n bytes.
func (s *Share) Keep(n int64) { s.Shrink(max(s.held-n, 0)) }

// Held is what the share has now.
func (s *Share) Held() int64 { return s.held }

// Release gives everything back.
func (s *Share) Release() { s.Shrink(s.held) }
