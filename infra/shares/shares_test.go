package shares_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"eventserver/infra"
	"eventserver/infra/shares"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partitions = 5

var groups = []string{"a", "b"}

// world is a log around shares, and a model of what they must be.
type world struct {
	rt     *rapid.T
	shares *shares.Shares

	mu     sync.Mutex
	claims map[place]*taken
	begun  int
	frozen map[string]int
	wrong  []string

	// Of the test's goroutine.
	members []*member
	thaws   []func()
	known   bool
	owned   map[int32]bool
}

type place struct {
	group     string
	partition int32
}

type member struct {
	*shares.Member
	group   string
	leaving bool
	left    chan struct{}
}

// taken is a claim, from when it is taken up to when it is given up.
type taken struct {
	claim  *shares.Claim
	member *member
	late   bool // it is taken up although it was asked back
	held   bool // it is given up by a call, and not when the function returns
	given  bool
	let    chan struct{} // closed: it is taken up
	letGo  chan struct{} // closed: it is given up, once asked back
}

func newWorld(rt *rapid.T) *world {
	w := &world{rt: rt, claims: map[place]*taken{}, frozen: map[string]int{}, owned: map[int32]bool{}}
	w.shares = shares.New(shares.Config{TakeUp: w.takeUp, GiveUp: w.giveUp})
	return w
}

// fault notes what is wrong; w.mu is held.
func (w *world) fault(text string) { w.wrong = append(w.wrong, text) }

func (w *world) takeUp(c *shares.Claim) (infra.Position, bool) {
	w.mu.Lock()
	w.begun++
	one := &taken{claim: c, late: w.begun%2 == 0, held: w.begun%3 == 0, let: make(chan struct{}), letGo: make(chan struct{})}
	at := place{c.Group, c.Partition}
	if w.claims[at] != nil {
		w.fault("a partition was taken up that another claim has")
	}
	if w.frozen[c.Group] > 0 {
		w.fault("a partition was taken up of a group that is frozen")
	}
	w.claims[at] = one
	w.mu.Unlock()
	select {
	case <-one.let:
		return infra.Position{Next: int64(c.Partition)}, true
	case <-c.Context.Done():
	}
	if one.late {
		<-one.let
		return infra.Position{Next: int64(c.Partition)}, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.claims, at)
	return infra.Position{}, false
}

// own is a member's.
func (w *world) own(m *member, c infra.Claim) {
	w.mu.Lock()
	one := w.claims[place{m.group, c.Partition}]
	one.given, one.member = true, m
	if one.claim.Context != c.Context || c.Position.Next != int64(c.Partition) {
		w.fault("a member was given another claim than was taken up")
	}
	if c.Context.Err() != nil {
		w.fault("a member was given a claim that was asked back")
	}
	w.mu.Unlock()
	giveUp := func() {}
	if one.held {
		giveUp = c.Hold()
	}
	end := func() {
		<-c.Context.Done()
		<-one.letGo
		giveUp()
	}
	if one.held {
		go end()
		return
	}
	end()
}

func (w *world) giveUp(c *shares.Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := place{c.Group, c.Partition}
	if one := w.claims[at]; one == nil || one.claim != c {
		w.fault("a claim was given up that nobody has")
	}
	delete(w.claims, at)
}

// some picks a claim that f takes.
func (w *world) some(rt *rapid.T, f func(*taken) bool) *taken {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*taken
	for _, g := range groups {
		for p := range int32(partitions) {
			if one := w.claims[place{g, p}]; one != nil && f(one) {
				list = append(list, one)
			}
		}
	}
	if len(list) == 0 {
		rt.Skip("there is none")
	}
	return rapid.SampledFrom(list).Draw(rt, "claim")
}

func (w *world) join(rt *rapid.T) {
	m := &member{group: rapid.SampledFrom(groups).Draw(rt, "group"), left: make(chan struct{})}
	m.Member = w.shares.Join(m.group, "topic", partitions, func(c infra.Claim) { w.own(m, c) })
	w.members = append(w.members, m)
}

func (w *world) leave(rt *rapid.T) {
	stay := slices.DeleteFunc(slices.Clone(w.members), func(m *member) bool { return m.leaving })
	if len(stay) == 0 {
		rt.Skip("there is none")
	}
	m := rapid.SampledFrom(stay).Draw(rt, "member")
	m.leaving = true
	go func() {
		defer close(m.left)
		_ = m.Close()
	}()
}

func (w *world) takeOne(rt *rapid.T) {
	close(w.some(rt, func(one *taken) bool { return !closed(one.let) }).let)
}

func (w *world) letOneGo(rt *rapid.T) {
	close(w.some(rt, func(one *taken) bool { return one.given && !closed(one.letGo) }).letGo)
}

func (w *world) freeze(rt *rapid.T) {
	g := rapid.SampledFrom(groups).Draw(rt, "group")
	thaw := w.shares.Freeze(g)
	note := func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.frozen[g] += n
	}
	note(1)
	w.thaws = append(w.thaws, func() {
		note(-1)
		thaw()
	})
}

func (w *world) thaw(rt *rapid.T) {
	if len(w.thaws) == 0 {
		rt.Skip("nothing is frozen")
	}
	n := rapid.IntRange(0, len(w.thaws)-1).Draw(rt, "n")
	w.thaws[n]()
	w.thaws = slices.Delete(w.thaws, n, n+1)
}

// ownership changes what is owned; lost: to what another process may have had for long.
func (w *world) ownership(rt *rapid.T) {
	var cause error
	if rapid.Bool().Draw(rt, "lost") {
		cause = infra.ErrLost
	}
	w.known = rapid.IntRange(0, 3).Draw(rt, "known") > 0
	owned := map[int32]bool{}
	var owns func(int32) bool
	if w.known {
		for p := range int32(partitions) {
			owned[p] = rapid.Bool().Draw(rt, "owned")
		}
		owns = func(p int32) bool { return owned[p] }
	}
	w.owned = owned
	w.mu.Lock()
	before := map[*shares.Claim]error{}
	for at, one := range w.claims {
		if !owned[at.partition] {
			before[one.claim] = context.Cause(one.claim.Context)
		}
	}
	w.mu.Unlock()
	ended := w.shares.Own(owns, cause)
	assert.Len(rt, ended, len(before))
	for _, c := range ended {
		had, there := before[c]
		require.True(rt, there, "partition %d of group %s ended without cause", c.Partition, c.Group)
		switch {
		case had != nil:
			assert.Equal(rt, had, context.Cause(c.Context))
		case cause != nil:
			assert.ErrorIs(rt, context.Cause(c.Context), infra.ErrLost)
		default:
			assert.NotErrorIs(rt, context.Cause(c.Context), infra.ErrLost)
		}
		assert.True(rt, cause == nil || c.Lost())
	}
}

func (w *world) check(rt *rapid.T) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(rt, w.wrong)
	w.members = slices.DeleteFunc(w.members, func(m *member) bool { return closed(m.left) })
	for at, one := range w.claims {
		if one.claim.Context.Err() != nil {
			continue
		}
		require.True(rt, w.known && w.owned[at.partition], "partition %d is not owned and has a claim", at.partition)
		require.True(rt, one.member == nil || !one.member.leaving, "a member that leaves has partition %d", at.partition)
	}
	for _, g := range groups {
		w.checkGroup(rt, g)
	}
}

func (w *world) checkGroup(rt *rapid.T, g string) {
	parts, all := map[*member]int{}, 0
	for _, m := range w.members {
		if m.group != g {
			continue
		}
		all++
		if !m.leaving {
			parts[m] = 0
		}
	}
	require.Len(rt, w.shares.Members(g, infra.Member{}), all)
	require.Equal(rt, all > 0, w.shares.Joined(g, "topic"))
	if w.frozen[g] > 0 || !w.known || len(parts) == 0 {
		return
	}
	settled := true
	for p := range int32(partitions) {
		one := w.claims[place{g, p}]
		require.True(rt, one != nil || !w.owned[p], "partition %d of group %s is owned and free", p, g)
		switch {
		case one == nil:
		case one.claim.Context.Err() != nil || !one.given:
			settled = false
		default:
			parts[one.member]++
		}
	}
	least, most := partitions, 0
	for m, n := range parts {
		require.True(rt, m.Assigned())
		least, most = min(least, n), max(most, n)
	}
	require.True(rt, !settled || most-least <= 1, "the parts are %d to %d", least, most)
}

// round lets every claim be taken up, and given up when it was asked back.
func (w *world) round() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.claims {
		if !closed(one.let) {
			close(one.let)
		}
		if one.claim.Context.Err() != nil && !closed(one.letGo) {
			close(one.letGo)
		}
	}
}

// settle has all that was begun come to its end.
func (w *world) settle(rt *rapid.T) {
	for range 2 * partitions {
		w.round()
		w.check(rt)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.claims {
		require.True(rt, one.given && one.claim.Context.Err() == nil, "partition %d of group %s is not settled", one.claim.Partition, one.claim.Group)
	}
}

// close ends everything, in whatever state it is.
func (w *world) close() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.shares.Close()
	}()
	for range 2 * partitions {
		synctest.Wait()
		w.round()
	}
	require.True(w.rt, closed(done), "it ends")
	require.Empty(w.rt, w.wrong)
	require.Empty(w.rt, w.claims, "all are given up")
	for _, g := range groups {
		require.Empty(w.rt, w.shares.Members(g, infra.Member{}))
	}
	require.Nil(w.rt, w.shares.Join("a", "topic", partitions, nil))
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Whoever joins and leaves, whatever is frozen, owned and lost: each partition that is
// owned has one claim in each group that has members, no other has one, and everything
// ends.
func TestShares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ *testing.T }{t}, func(rt *rapid.T) { // without the deadline of t, which a bubble has not
			w := newWorld(rt)
			defer w.close()
			rt.Repeat(map[string]func(*rapid.T){
				"join": w.join, "leave": w.leave, "take": w.takeOne, "let go": w.letOneGo,
				"freeze": w.freeze, "thaw": w.thaw, "own": w.ownership, "settle": w.settle, "": w.check,
			})
		})
	})
}
