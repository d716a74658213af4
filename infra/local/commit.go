package local

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"eventserver/infra"
)

// committer is the one goroutine that writes. It gathers the waiting calls into one Pebble
// batch: a group. A group of Durable calls waits for the disk in a second goroutine
// (sync), one at a time. Meanwhile other groups continue.
type committer struct {
	log     *Log
	seq     uint64 // of the last group
	records uint64 // the sum of the ends of all partitions
	nextID  uint32 // of the next topic
	flight  flight

	timer *time.Timer // runs while something is not synced or not stored
	armed atomic.Bool
	syncs chan *group
	done  chan struct{}

	steps, durables []*request // of the next groups
	unsynced        bool       // a group was stored since the last sync began
	due             bool       // the timer fired
	smallCall       bool       // the last Durable call stored little, as one event does
}

// smallBytes is the minimum size of a Durable call that is written at once. After smaller
// calls the committer lets other goroutines run first, and more calls share a group: at
// full speed a quarter of the groups. A call with many events would only wait.
const smallBytes = 8 << 10

func (c *committer) init(l *Log) {
	c.log = l
	c.done = make(chan struct{})
	c.syncs = make(chan *group, 1)
	c.timer = time.NewTimer(time.Hour)
	c.timer.Stop()
}

func (c *committer) start() {
	var running sync.WaitGroup
	running.Go(c.run)
	running.Go(c.sync)
	go func() {
		running.Wait()
		close(c.done)
	}()
}

// stop waits until everything is stored. false: that is not possible.
func (c *committer) stop() bool {
	select {
	case <-c.done:
	case <-c.log.queue.failed:
	}
	select {
	case <-c.log.queue.failed:
		return false
	default:
		return true
	}
}

// scheduleSync makes unsynced batches and progress be synced within syncDelay.
func (c *committer) scheduleSync() {
	if c.armed.CompareAndSwap(false, true) {
		c.timer.Reset(syncDelay)
	}
}

func (c *committer) run() {
	defer close(c.syncs)
	for {
		if c.smallCall {
			runtime.Gosched() // other callers may join the group
		}
		c.log.queue.takeSteps(&c.steps)
		stored := c.commitSteps()
		syncing, closed, empty := c.log.queue.takeDurables(&c.durables)
		if !syncing {
			stored = c.commitSynced() || stored
		}
		if stored {
			continue
		}
		if closed && !syncing && empty {
			if !c.dirty() {
				return
			}
			c.due = true
			continue
		}
		select {
		case <-c.log.queue.wake:
		case <-c.timer.C:
			c.armed.Store(false)
			c.due = true
		case <-c.log.queue.failed:
			return
		}
	}
}

func (c *committer) dirty() bool { return c.unsynced && c.log.wal || c.log.groups.isDirty() }

// commitSteps stores the calls that do not wait for the disk; false: there are none.
func (c *committer) commitSteps() bool {
	if len(c.steps) == 0 {
		return false
	}
	g := c.newGroup()
	for _, r := range c.steps {
		c.encode(g, r)
	}
	clear(c.steps)
	if len(g.requests) == 0 {
		g.free()
		return true
	}
	c.unsynced = true
	c.apply(g)
	if c.log.wal {
		c.scheduleSync()
	}
	return true
}

// commitSynced stores and syncs the Durable calls, and what is due.
func (c *committer) commitSynced() bool {
	due := c.due && c.dirty()
	c.due = false
	if len(c.durables) == 0 && !due {
		return false
	}
	g := c.newGroup()
	for _, r := range c.durables {
		c.smallCall = r.bytes < smallBytes
		c.encode(g, r)
	}
	clear(c.durables)
	if due || len(g.requests) > 0 { // a sync that happens anyway includes kept progress
		c.log.groups.encodeDirty(g)
	}
	if len(g.requests) == 0 && !due {
		g.free()
		return true
	}
	g.sync = c.log.wal
	c.unsynced = false
	c.apply(g)
	return true
}

// apply stores a group. A group with a sync is published after it.
func (c *committer) apply(g *group) {
	c.seq, g.records = g.seq, c.records
	_ = g.batch.Set(sequenceKey, encodeSequence(g.seq, g.records), nil)
	c.flight.add(g)
	c.log.reclaimer.storedBytes.Add(int64(g.batch.Len()))
	var err error
	if g.sync {
		for i := range g.additions {
			g.additions[i].p.syncing.Store(true)
		}
		c.log.queue.setSyncing(true)
		err = c.log.db.ApplyNoSyncWait(g.batch, pebble.Sync)
	} else {
		err = c.log.db.Apply(g.batch, pebble.NoSync)
	}
	switch {
	case err != nil: // never: Pebble calls Fatalf
		c.log.fail(err)
	case g.sync:
		c.syncs <- g
	default:
		c.publish(g)
	}
}

// sync waits for the disk.
func (c *committer) sync() {
	for g := range c.syncs {
		if err := g.batch.SyncWait(); err != nil {
			c.log.fail(err)
			return
		}
		if c.log.checkDirectory() != nil { // it is dead
			return
		}
		if m := c.log.mark; m != nil {
			if err := m.write(position{g.seq, g.records, c.log.cfg.NoSync}); err != nil {
				c.log.fail(err)
				return
			}
		}
		c.publish(g)
		c.log.queue.setSyncing(false)
	}
}

// publish makes a group readable and answers its calls.
func (c *committer) publish(g *group) {
	for i := range g.additions {
		t := &g.additions[i]
		bytes := t.p.publish(t)
		if bytes > 0 {
			c.log.tail.add(t.p, t.end, bytes)
		}
	}
	c.log.groups.publish(g.progress)
	for _, stored := range g.onStored {
		stored()
	}
	c.flight.finish(g)
	g.free()
}

// encode adds a call to a group, or answers it.
func (c *committer) encode(g *group, r *request) {
	if !r.state.CompareAndSwap(stateQueued, stateTaken) {
		return // the caller has gone
	}
	if err := r.check(); err != nil {
		r.done <- err
		return
	}
	if r.encode != nil {
		if err := r.encode(g); err != nil {
			r.done <- err
			return
		}
	}
	g.requests = append(g.requests, r)
	if r.onStored != nil {
		g.onStored = append(g.onStored, r.onStored)
	}
	for i, rec := range r.records {
		g.add(r.parts[i], rec)
	}
	c.records += uint64(len(r.records))
	c.log.groups.encode(g, r)
}

// group is the content of one Pebble batch.
type group struct {
	batch     *pebble.Batch
	seq       uint64
	records   uint64 // the sum of the ends of all partitions
	now       int64  // unix nanoseconds
	sync      bool
	additions []addition
	progress  []progressUpdate
	onStored  []func()   // called when it is
	requests  []*request // flight.mu once it is in flight
	answered  bool       // flight.mu
}

// addition has the records that a group adds to a partition.
type addition struct {
	p     *partition
	end   int64
	live  bool            // somebody reads at the end: the tail gets all of them or none
	tail  []*infra.Record // for readers at the end
	bytes int             // of tail
}

var groupPool = sync.Pool{New: func() any { return &group{} }}

func (c *committer) newGroup() *group {
	g := groupPool.Get().(*group)
	g.batch = c.log.db.NewBatch()
	g.seq = c.seq + 1
	g.now = time.Now().UnixNano()
	return g
}

func (g *group) free() {
	_ = g.batch.Close()
	clear(g.requests)
	clear(g.additions)
	clear(g.progress)
	clear(g.onStored)
	*g = group{additions: g.additions[:0], progress: g.progress[:0], onStored: g.onStored[:0], requests: g.requests[:0]}
	groupPool.Put(g)
}

// addition returns the group's addition to p.
func (g *group) addition(p *partition) *addition {
	if p.additionIndex < len(g.additions) && g.additions[p.additionIndex].p == p {
		return &g.additions[p.additionIndex]
	}
	p.additionIndex = len(g.additions)
	g.additions = append(g.additions, addition{p: p, live: p.live.Load() > 0})
	return &g.additions[p.additionIndex]
}

// add gives a record its offset and time.
func (g *group) add(p *partition, rec *infra.Record) {
	t := g.addition(p)
	p.last = max(p.last, g.now)
	offset := p.next
	p.next++
	t.end = p.next

	op := g.batch.SetDeferred(recordKeyLen, encodedSize(rec))
	appendRecordKey(op.Key[:0], p.topic.id, p.n, offset)
	encodeRecord(op.Value, rec, p.last)
	_ = op.Finish()
	rec.Offset, rec.Time = offset, time.Unix(0, p.last).UTC()
	if t.live {
		t.tail = append(t.tail, rec)
		t.bytes += tailSize(rec)
	}
}

// flight holds the groups that were given to Pebble and have no result yet.
type flight struct {
	mu     sync.Mutex
	groups []*group
	err    error // the disk is full or dead: outcomes are unknown
}

func (f *flight) add(g *group) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups = append(f.groups, g)
	if f.err != nil {
		g.answer(f.err)
	}
}

// finish answers a group's calls.
func (f *flight) finish(g *group) {
	f.mu.Lock()
	for i := range f.groups {
		if f.groups[i] == g {
			f.groups = append(f.groups[:i], f.groups[i+1:]...)
			break
		}
	}
	g.answer(nil)
	f.mu.Unlock()
}

// fail answers every call with err, also calls of later groups, until it is called with
// nil. It is not known whether they are stored.
func (f *flight) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	if err == nil {
		return
	}
	for _, g := range f.groups {
		g.answer(err)
	}
}

func (g *group) answer(err error) {
	if g.answered {
		return
	}
	g.answered = true
	for _, r := range g.requests {
		r.done <- err
	}
	clear(g.requests) // they belong to their callers again
	g.requests = g.requests[:0]
}
