package pubsub

import (
	"slices"
	"sync"
	"time"
)

// live is the live end of a topic. New records are read and decoded once for all
// subscriptions with runs. A subscription that does not want a record is not woken.
//
// Locks, in this order: keeper.mu, claim.mu, livePart.mu; then one of runner.mu, index.mu,
// live.mu and keeper.list. budget.mu comes before runner.mu. broker.mu comes before
// index.mu and live.mu.
type live struct {
	b     *broker
	topic string
	index index

	mu     sync.Mutex
	users  int // subscriptions; broker.mu
	parts  map[int32]*livePart
	timer  *time.Timer // until positions that were only skipped to are kept; nil: none was yet
	armed  bool
	closed bool
}

const (
	// liveBytes is the maximum memory of the live end of a topic, and liveLeast the
	// minimum of each of its partitions.
	liveBytes = 8 << 20
	liveLeast = 256 << 10
	// skipInterval is how long positions are gathered that only skipped records moved.
	// Skipping again costs no more than reading.
	skipInterval = 10 * time.Second
)

// join makes s a user of its topic's live end.
func (b *broker) joinLive(s *subscription) *live {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lives[s.topic]
	if l == nil {
		l = &live{b: b, topic: s.topic, parts: map[int32]*livePart{}}
		b.lives[s.topic] = l
	}
	l.users++
	l.index.add(s)
	return l
}

// leave is called when s has no claims any more.
func (l *live) leave(s *subscription) {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.index.remove(s)
	if l.users--; l.users > 0 {
		return
	}
	delete(l.b.lives, l.topic)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// joinPart returns the live end of a partition to one more claim.
func (l *live) joinPart(n int32) *livePart {
	l.mu.Lock()
	defer l.mu.Unlock()
	lp := l.parts[n]
	if lp == nil {
		lp = newLivePart(l, n)
		l.parts[n] = lp
		l.divide()
	}
	lp.users++
	return lp
}

// leavePart is the counterpart of joinPart.
func (l *live) leavePart(lp *livePart) {
	l.mu.Lock()
	lp.users--
	last := lp.users == 0
	if last {
		delete(l.parts, lp.partition)
		l.divide()
	}
	l.mu.Unlock()
	if last {
		lp.quit()
		<-lp.ended
	}
}

// divide divides the memory among the partitions. The caller holds mu.
func (l *live) divide() {
	for _, lp := range l.parts {
		lp.maxBytes.Store(int64(max(l.b.cfg.liveBytes/len(l.parts), min(l.b.cfg.liveBytes, liveLeast))))
	}
}

// scheduleKeep makes positions that only skipped records moved be kept after skipInterval.
func (l *live) scheduleKeep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.armed || l.closed:
		return
	case l.timer == nil:
		l.timer = time.AfterFunc(l.b.cfg.skipInterval, l.keep)
	default:
		l.timer.Reset(l.b.cfg.skipInterval)
	}
	l.armed = true
}

func (l *live) keep() {
	l.mu.Lock()
	l.armed = false
	l.mu.Unlock()
	for _, s := range l.index.all() {
		for _, c := range s.owned() {
			c.keepSkipped()
		}
	}
}

// index finds the subscriptions that want a record.
type index struct {
	mu     sync.Mutex
	subs   []*subscription
	groups map[string][]*subscription
	by     []*indexed
}

// indexed are the subscriptions that match the same header.
type indexed struct {
	header, mark string // header is "" of those that want everything
	subs         []*subscription
	byValue      map[string][]*subscription
}

// maxValues is the maximum number of remembered values: clients choose them.
const maxValues = 4096

func (x *index) add(s *subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.subs = append(slices.Clip(x.subs), s)
	if x.groups == nil {
		x.groups = map[string][]*subscription{}
	}
	x.groups[s.group] = append(slices.Clip(x.groups[s.group]), s)
	of := x.of(s)
	if of == nil {
		of = &indexed{header: s.filter.header, mark: s.filter.mark}
		x.by = append(x.by, of)
	}
	of.subs = append(of.subs, s)
	of.byValue = nil
}

func (x *index) remove(s *subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	is := func(o *subscription) bool { return o == s }
	x.subs = slices.DeleteFunc(slices.Clone(x.subs), is)
	if x.groups[s.group] = slices.DeleteFunc(slices.Clone(x.groups[s.group]), is); len(x.groups[s.group]) == 0 {
		delete(x.groups, s.group)
	}
	of := x.of(s)
	of.subs = slices.DeleteFunc(of.subs, is)
	of.byValue = nil
}

func (x *index) of(s *subscription) *indexed {
	for _, of := range x.by {
		if of.header == s.filter.header && of.mark == s.filter.mark {
			return of
		}
	}
	return nil
}

func (x *index) all() []*subscription {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.subs // is only replaced
}

func (x *index) group(name string) []*subscription {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.groups[name] // is only replaced
}

// each calls f for every subscription that wants the record of e.
func (x *index) each(e *entry, f func(s *subscription)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, of := range x.by {
		for _, s := range of.matches(e) {
			f(s)
		}
	}
}

func (of *indexed) matches(e *entry) []*subscription {
	if of.header == "" {
		return of.subs
	}
	value, marked := valueOf(e.rec, of.header, of.mark)
	if !marked {
		return of.subs
	}
	subs, known := of.byValue[string(value)]
	if known {
		return subs
	}
	for _, s := range of.subs {
		if s.filter.match(string(value)) {
			subs = append(subs, s)
		}
	}
	if of.byValue == nil || len(of.byValue) >= maxValues {
		of.byValue = map[string][]*subscription{}
	}
	of.byValue[string(value)] = subs
	return subs
}
