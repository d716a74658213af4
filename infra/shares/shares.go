package shares

import (
	"cmp"
	"slices"
	"sync"

	"eventserver/infra"
)

// Config has a log's functions for claims. They are called in the claim's goroutine.
type Config struct {
	// TakeUp is called before the member gets the partition, and returns where it begins.
	// taken is false only when the claim's context has ended.
	TakeUp func(c *Claim) (at infra.Position, taken bool)
	// GiveUp is called for every claim that was taken up, when the member is done with it.
	// It may be nil.
	GiveUp func(c *Claim)
}

// Shares has the members and claims of every group in this process.
type Shares struct {
	cfg Config

	mu     sync.Mutex
	shares map[key]*share
	owned  func(partition int32) bool // nil: it is not known
	frozen map[string]int             // by group: how often
	closed bool
}

type key struct{ group, topic string }

// share is a group on one topic; Shares.mu.
type share struct {
	members []*Member // in the order of joining, with leaving ones
	claims  []*Claim  // by partition
}

// New returns shares of a process that owns nothing yet.
func New(cfg Config) *Shares {
	return &Shares{cfg: cfg, shares: map[key]*share{}, frozen: map[string]int{}}
}

// All is the argument of Own for a log that owns every partition.
func All(int32) bool { return true }

// Join adds a member to a group on a topic with this number of partitions. It returns nil
// when Shares is closed.
func (s *Shares) Join(group, topic string, partitions int, own func(infra.Claim)) *Member {
	at := key{group, topic}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	of := s.shares[at]
	if of == nil {
		of = &share{claims: make([]*Claim, partitions)}
		s.shares[at] = of
	}
	one := &Member{all: s, key: at, share: of, own: own}
	of.members = append(of.members, one)
	s.assign(at, of)
	return one
}

// Own sets the partitions of every topic that this process owns. nil: not known, and the
// members are not assigned anything. The claims of all other partitions end, with cause
// infra.ErrLost where another process may have them already. They are returned, also those
// that had ended before. owned must always return the same.
func (s *Shares) Own(owned func(partition int32) bool, cause error) (ended []*Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owned = owned
	for at, of := range s.shares {
		for n, c := range of.claims {
			if c != nil && (owned == nil || !owned(int32(n))) {
				c.end(cause)
				ended = append(ended, c)
			}
		}
		s.assign(at, of)
	}
	return ended
}

// assign balances a share. It asks a partition back from a member with too many, and gives
// a free one to a member with too few. s.mu is held.
func (s *Shares) assign(at key, of *share) {
	if s.frozen[at.group] > 0 || s.owned == nil {
		return
	}
	var active []*Member
	for _, one := range of.members {
		one.joined = true
		if !one.leaving {
			active = append(active, one)
		}
	}
	if len(active) == 0 {
		return
	}
	owned, has := 0, map[*Member]int{}
	for n, c := range of.claims {
		if s.owned(int32(n)) {
			owned++
		}
		if c != nil && !c.ended() {
			has[c.member]++
		}
	}
	// Where the division has a remainder, the members with most keep one more.
	slices.SortStableFunc(active, func(a, b *Member) int { return cmp.Compare(has[b], has[a]) })
	quota := map[*Member]int{}
	for i, one := range active {
		quota[one] = owned / len(active)
		if i < owned%len(active) {
			quota[one]++
		}
	}
	for _, c := range slices.Backward(of.claims) {
		if c != nil && !c.ended() && has[c.member] > quota[c.member] {
			has[c.member]--
			c.end(nil)
		}
	}
	for n, c := range of.claims {
		if c != nil || !s.owned(int32(n)) {
			continue
		}
		for _, one := range active {
			if has[one] < quota[one] {
				has[one]++
				one.give(int32(n))
				break
			}
		}
	}
}

// Freeze keeps the free partitions of groups free until thaw is called.
func (s *Shares) Freeze(groups ...string) (thaw func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range groups {
		s.frozen[g]++
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, g := range groups {
			if s.frozen[g]--; s.frozen[g] == 0 {
				delete(s.frozen, g)
			}
		}
		for at, of := range s.shares {
			if slices.Contains(groups, at.group) {
				s.assign(at, of)
			}
		}
	}
}

// Joined reports whether a group has members on a topic, including leaving ones.
func (s *Shares) Joined(group, topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shares[key{group, topic}] != nil
}

// Members lists the members of a group, each as self with its partitions.
func (s *Shares) Members(group string, self infra.Member) (out []infra.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, of := range s.shares {
		if at.group != group {
			continue
		}
		for _, one := range of.members {
			parts := []int32{}
			for n, c := range of.claims {
				if c != nil && c.member == one && c.running {
					parts = append(parts, int32(n))
				}
			}
			self.Partitions = map[string][]int32{at.topic: parts}
			out = append(out, self)
		}
	}
	return out
}

// Close ends every membership. Nobody can join afterwards.
func (s *Shares) Close() {
	s.mu.Lock()
	s.closed = true
	var all []*Member
	for _, of := range s.shares {
		all = append(all, of.members...)
	}
	s.mu.Unlock()
	var leaving sync.WaitGroup
	for _, one := range all {
		leaving.Go(func() { _ = one.Close() })
	}
	leaving.Wait()
}
