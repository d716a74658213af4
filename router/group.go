package router

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// Grouping makes Ordered hand out groups: one Watermill message that stands for
// many, so that what a message costs on its way through a router is paid once.
// A group is given to the handler with the message's context; groupOf finds it.
// What comes while a key has a message in a group waits behind it, as it does
// behind a single one. The zero value makes no groups.
type Grouping struct {
	MaxEvents int           // of a group; 0 and 1: no groups
	MaxBytes  int           // of a group's payloads; 0: no bound
	MaxWait   time.Duration // for more to come after the first
	AtOnce    int           // groups in the handler; what comes meanwhile gathers in the next
}

func (g Grouping) on() bool { return g.MaxEvents > 1 }

// group is messages that are handled together.
type group struct {
	members []member
	bytes   int
	timer   *time.Timer // MaxWait; nil: none
	out     chan<- *message.Message
	workers *sync.WaitGroup
	claims  claims // of the members, watched while it gathers
	aside   bool   // it was nacked: it has no place any more
	flies   bool   // it is in the handler
}

// apart says why members come apart: a backoff is each member's own affair, and
// must not hold the group's place.
type apart struct {
	attempted bool      // an attempt was made
	until     time.Time // no other before
	err       error     // of the attempt
}

// member is one message of a group.
type member struct {
	msg *message.Message
	key string
	q   *keyQueue
	// apart is set by the handler, before it acks the group, on a member that
	// is not done: it is handed out next, by itself.
	apart bool
	cause apart // set with it
}

type (
	groupKey struct{}
	apartKey struct{}
)

// groupOf returns the group that msg stands for; nil: it is a message itself.
func groupOf(msg *message.Message) *group {
	g, _ := msg.Context().Value(groupKey{}).(*group)
	return g
}

// cameApart reports whether a group that the message was in was taken apart.
func cameApart(ctx context.Context) (apart, bool) {
	a, ok := ctx.Value(apartKey{}).(apart)
	return a, ok
}

// joins reports whether a message of a busy key may join the key's group.
func (o *Ordered) joins(q *keyQueue, msg *message.Message) bool {
	return q.group != nil && q.group == o.open && len(q.waiting) == 0 && o.fits(o.open, msg)
}

func (o *Ordered) fits(g *group, msg *message.Message) bool {
	return len(g.members) < o.grouping.MaxEvents && (o.grouping.MaxBytes == 0 || g.bytes+len(msg.Payload) <= o.grouping.MaxBytes)
}

// gather puts a message, whose key has nothing else in the handler, into the
// open group. The caller holds mu, as it does of all that follows here.
func (o *Ordered) gather(key string, q *keyQueue, msg *message.Message, out chan<- *message.Message, workers *sync.WaitGroup) {
	if o.open != nil && (o.open.out != out || !o.fits(o.open, msg)) {
		o.seal()
	}
	if o.open == nil {
		g := &group{out: out, workers: workers}
		if o.grouping.MaxWait > 0 {
			g.timer = time.AfterFunc(o.grouping.MaxWait, func() {
				o.mu.Lock()
				defer o.mu.Unlock()
				if o.open == g {
					o.seal()
					o.dispatch()
				}
			})
		}
		o.open = g
	}
	g := o.open
	q.group = g
	g.members = append(g.members, member{msg: msg, key: key, q: q})
	g.bytes += len(msg.Payload)
	full := len(g.members) >= o.grouping.MaxEvents || o.grouping.MaxBytes > 0 && g.bytes >= o.grouping.MaxBytes
	if full || o.grouping.MaxWait == 0 && o.flying < o.grouping.AtOnce {
		o.seal()
	}
	o.dispatch()
	if !g.flies {
		o.watch(msg.Context(), g)
	}
}

// seal closes the open group to newcomers.
func (o *Ordered) seal() {
	if o.open.timer != nil {
		o.open.timer.Stop()
	}
	o.sealed = append(o.sealed, o.open)
	o.open = nil
}

// dispatch lets sealed groups go while there are fewer in the handler than may be.
func (o *Ordered) dispatch() {
	for len(o.sealed) > 0 && o.flying < o.grouping.AtOnce {
		g := o.sealed[0]
		o.sealed[0] = nil
		o.sealed = o.sealed[1:]
		o.flying++
		g.flies = true
		g.claims.release()
		g.workers.Go(func() { o.fly(g) })
	}
}

// watch takes members out of a group that gathers when their claim ends: what
// is in no handler must not hold up the partition's next owner.
func (o *Ordered) watch(ctx context.Context, g *group) {
	g.claims.watch(ctx, func() { o.sweep(g) })
}

// dropEnded is the group's, for one that may be looked at meanwhile. The lock is
// taken only when there is something to change.
func (o *Ordered) dropEnded(g *group) []member {
	if !slices.ContainsFunc(g.members, func(m member) bool { return m.msg.Context().Err() != nil }) {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return g.dropEnded()
}

// dropEnded takes out the members whose claim has ended.
func (g *group) dropEnded() (lost []member) {
	g.members = slices.DeleteFunc(g.members, func(m member) bool {
		ended := m.msg.Context().Err() != nil
		if ended {
			lost = append(lost, m)
			g.bytes -= len(m.msg.Payload)
		}
		return ended
	})
	return lost
}

// sweep sends back the members whose claim has ended, unless the group flies.
func (o *Ordered) sweep(g *group) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if g != o.open && !slices.Contains(o.sealed, g) {
		return
	}
	lost := g.dropEnded()
	for _, m := range lost {
		infra.Settle(m.msg, false)
	}
	o.release(len(lost))
	for _, m := range lost {
		if m.q.group == g {
			m.q.group = nil
			o.proceed(m.key, m.q, g.out, g.workers)
		}
	}
}

// flush lets the open group go: nothing more will come.
func (o *Ordered) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open != nil {
		o.seal()
	}
	o.dispatch()
}

// fly passes a group to the handler until it is acked, and goes on with its keys.
func (o *Ordered) fly(g *group) {
	var lost []member // members that go back: their claim ended, or we drain
	acked := false
	for !acked {
		lost = append(lost, o.dropEnded(g)...)
		if len(g.members) == 0 {
			break
		}
		var again bool
		if acked, again = o.handleGroup(g); !again {
			break
		}
	}
	if !acked {
		lost = append(lost, g.members...)
		o.mu.Lock()
		g.members = nil
		o.mu.Unlock()
	}
	for _, m := range lost {
		infra.Settle(m.msg, false)
	}
	for _, m := range g.members {
		if !m.apart {
			infra.Settle(m.msg, true)
		}
	}
	o.land(g, lost)
}

// handleGroup hands a group out once. again: it was nacked, for another reason
// than that we drain.
func (o *Ordered) handleGroup(g *group) (acked, again bool) {
	select { // first, because select below picks any that is ready
	case <-o.drained:
		return false, false
	default:
	}
	ctx, release := g.context()
	defer release()
	try := message.NewMessage(g.members[0].msg.UUID, nil)
	try.SetContext(ctx)
	select {
	case g.out <- try:
	case <-ctx.Done():
		return false, true
	case <-o.drained:
		return false, false
	}
	select { // the handler watches ctx itself: wait for its verdict, whatever happened
	case <-try.Acked():
		return true, false
	case <-try.Nacked():
	}
	o.step(g)
	if ctx.Err() != nil { // some members go back, the others are tried again at once
		return false, true
	}
	select {
	case <-ctx.Done():
		return false, true
	case <-o.drained:
		return false, false
	case <-time.After(o.pause):
		return false, true
	}
}

// step takes a group that was nacked out of its place: a few that cannot be done,
// as when all of each is for one partition that is away, must not hold the others.
func (o *Ordered) step(g *group) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if g.aside {
		return
	}
	g.aside = true
	o.vacate()
}

// vacate gives a place to the next group. The caller holds mu.
func (o *Ordered) vacate() {
	o.flying--
	if o.open != nil && o.grouping.MaxWait == 0 && o.flying < o.grouping.AtOnce {
		o.seal()
	}
	o.dispatch()
}

// context ends with the claim of any member, and its grace with that of any: the
// next owner of one of them must not find an attempt of ours under way. Where all are
// of one claim, as mostly in small groups, there is nothing to watch.
func (g *group) context() (context.Context, func()) {
	first := g.members[0].msg.Context()
	others := slices.ContainsFunc(g.members, func(m member) bool { return m.msg.Context().Done() != first.Done() })
	if !others {
		return context.WithValue(first, groupKey{}, g), func() {}
	}
	later, cut := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(context.WithValue(infra.WithGrace(context.Background(), later), groupKey{}, g))
	var ends, graces claims
	for _, m := range g.members {
		ends.watch(m.msg.Context(), cancel)
		graces.watch(infra.Grace(m.msg.Context()), cut)
	}
	return ctx, func() {
		ends.release()
		graces.release()
		cancel()
		cut()
	}
}

// land goes on with the keys of a group that has come back: with the members
// that came apart first, then with what waited behind them.
func (o *Ordered) land(g *group, lost []member) {
	o.mu.Lock()
	defer o.mu.Unlock()
	settled := len(lost)
	for _, m := range g.members {
		if m.apart && !o.draining {
			m.msg.SetContext(context.WithValue(m.msg.Context(), apartKey{}, m.cause))
			m.q.apart = append(m.q.apart, m.msg)
		} else {
			if m.apart {
				infra.Settle(m.msg, false)
			}
			settled++
		}
	}
	o.release(settled)
	for _, members := range [2][]member{lost, g.members} {
		for _, m := range members {
			if m.q.group == g {
				m.q.group = nil
				o.proceed(m.key, m.q, g.out, g.workers)
			}
		}
	}
	if !g.aside {
		o.vacate()
	}
}

// proceed goes on with a key that has nothing in the handler.
func (o *Ordered) proceed(key string, q *keyQueue, out chan<- *message.Message, workers *sync.WaitGroup) {
	if len(q.apart) > 0 {
		q.waiting = append(q.apart, q.waiting...)
		q.apart = nil
	}
	if len(q.waiting) == 0 {
		delete(o.keys, key)
		return
	}
	msg := o.next(q)
	if _, alone := cameApart(msg.Context()); alone || !o.grouping.on() {
		workers.Go(func() { o.work(key, q, out, workers) })
		return
	}
	o.gather(key, q, msg, out, workers)
	for len(q.waiting) > 0 && q.group == o.open && o.open != nil && o.fits(o.open, q.waiting[0]) {
		o.gather(key, q, o.next(q), out, workers)
	}
}

// next takes the first that waits.
func (o *Ordered) next(q *keyQueue) *message.Message {
	msg := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	q.current, q.nacked = msg, false
	q.blocked = time.Now() // the key moved: those behind wait anew
	return msg
}

// disband sends back what has gathered and is in no handler.
func (o *Ordered) disband() {
	if o.open != nil {
		o.seal()
	}
	for _, g := range o.sealed {
		g.claims.release()
		for _, m := range g.members {
			infra.Settle(m.msg, false)
			delete(o.keys, m.key) // what waited behind it went back before
		}
		o.release(len(g.members))
	}
	o.sealed = nil
}
