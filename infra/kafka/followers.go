package kafka

import (
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// followers read the live ends of partitions, by one long poll per broker in a fetch
// session, so that a request has only the changes. All cursors at an end get the same
// records. kgo's own consumer has one place in a partition, and drops its session whenever
// a partition is taken out. Here each destination has a place.
type followers struct {
	log           *Log
	client        *kgo.Client // its connections wait in long polls
	held          atomic.Int64
	producerID    atomic.Int64  // the producer of this process
	checkInterval time.Duration // between two checks of the tails

	mu       sync.Mutex
	tails    map[topicPartition]*tail
	byLeader map[int32]*follower
	running  sync.WaitGroup
}

const (
	// maxTailBytes is the maximum of a partition that is kept for cursors that have not read
	// it yet. When all partitions have maxAllTailsBytes together it is minTailBytes.
	maxTailBytes     = 1 << 20
	maxAllTailsBytes = 64 << 20
	minTailBytes     = 64 << 10
	// A poll waits maxPollWait, or minPollWait when partitions were added. An added partition
	// waits for the running poll.
	maxPollWait = 250 * time.Millisecond
	minPollWait = 10 * time.Millisecond
	// tailIdle is how long a partition without cursors is still polled. A cursor with a full
	// window closes, and opens again later.
	tailIdle          = 10 * time.Second
	tailCheckInterval = 2 * time.Second
)

func (f *followers) init(l *Log, client *kgo.Client) {
	f.log, f.client, f.checkInterval = l, client, tailCheckInterval
	f.tails, f.byLeader = map[topicPartition]*tail{}, map[int32]*follower{}
}

// close ends the polls. The log's context has ended.
func (f *followers) close() {
	f.client.Close()
	f.running.Wait()
}

// attach adds a cursor to the live end, which is known to be at end. nil: the live end has
// moved, and the cursor must read for itself.
func (f *followers) attach(c *cursor, info *topicInfo, end int64) *tail {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.log.closed.Load() {
		return nil
	}
	at := topicPartition{info.real, c.partition}
	t := f.tails[at]
	if t == nil {
		by := f.leader(info.leaders[c.partition])
		t = &tail{followers: f, follower: by, at: at, info: info, topic: c.topic, next: end, sent: -1, base: end, cursors: map[*cursor]bool{}}
		f.tails[at] = t
		by.add(t)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.base > c.next {
		return nil
	}
	t.cursors[c] = false
	t.cursorsBehind++
	return t
}

// leader is the running follower of a broker; f.mu is held.
func (f *followers) leader(id int32) *follower {
	one := f.byLeader[id]
	if one == nil {
		one = &follower{all: f, leader: id, tails: map[topicPartition]*tail{}, ids: map[[16]byte]string{}}
		f.byLeader[id] = one
		f.running.Go(one.run)
	}
	return one
}

func (f *followers) detach(c *cursor, t *tail) {
	t.mu.Lock()
	defer t.mu.Unlock()
	read, here := t.cursors[c]
	if !here {
		return
	}
	delete(t.cursors, c)
	if !read {
		t.cursorCaughtUp()
	}
	if len(t.cursors) == 0 {
		t.idle = time.Now()
	}
}

// follower polls one broker.
type follower struct {
	all    *followers
	leader int32

	// Of run alone.
	tails         map[topicPartition]*tail
	ids           map[[16]byte]string
	session       int32
	epoch         int32
	polled        int // in the session
	changed       []*tail
	forgotten     []*tail
	wait          time.Duration
	lastTailCheck time.Time
	lastOwnPoll   time.Time

	added    []*tail // all.mu
	advanced []*tail // that moved by records of this process; all.mu
}

// add adds a tail. The caller holds all.mu.
func (f *follower) add(t *tail) { f.added = append(f.added, t) }

// run polls until there are no partitions.
func (f *follower) run() {
	for f.gather() {
		if !f.poll() {
			continue
		}
		f.pollOwn()
	}
}

// poll waits for records; false when it failed.
func (f *follower) poll() bool {
	req := f.request()
	if f.polled == 0 {
		f.epoch = 0 // the next poll begins a new session in place of this one
		return pause(f.all.log.ctx, f.wait) == nil
	}
	resp, err := f.all.log.request(f.all.client, f.leader, req)
	if err != nil {
		f.resetSession(resp)
		return false
	}
	f.handleResponse(resp)
	return true
}

// gather adds new partitions and removes those that nobody wants. false: none is left.
func (f *follower) gather() bool {
	f.all.mu.Lock()
	defer f.all.mu.Unlock()
	f.wait = min(max(2*f.wait, minPollWait), maxPollWait)
	for _, t := range f.added {
		f.wait = minPollWait
		f.tails[t.at], f.ids[t.info.id] = t, t.info.real
		f.changed = append(f.changed, t)
	}
	f.added = nil
	for _, t := range f.advanced {
		t.queued = false
		f.changed = append(f.changed, t)
	}
	f.advanced = nil
	if time.Since(f.lastTailCheck) > f.all.checkInterval {
		f.lastTailCheck = time.Now()
		for _, t := range f.tails {
			if t.isIdle() {
				f.drop(t)
			} else if t.updateOwnOnly() {
				f.changed = append(f.changed, t)
			}
		}
	}
	if len(f.tails) > 0 && f.all.log.ctx.Err() == nil {
		return true
	}
	for _, t := range f.tails {
		f.drop(t)
	}
	delete(f.all.byLeader, f.leader)
	return false
}

// drop ends a tail; all.mu is held.
func (f *follower) drop(t *tail) {
	t.end()
	if t.sent >= 0 {
		f.polled--
	}
	delete(f.tails, t.at)
	delete(f.all.tails, t.at)
	f.forgotten = append(f.forgotten, t)
}

// request has the changes since the last request, or everything in a new session.
func (f *follower) request() *kmsg.FetchRequest {
	req := newFetch()
	req.MaxWaitMillis = int32(f.wait.Milliseconds())
	req.SessionID, req.SessionEpoch = f.session, f.epoch
	if f.epoch == 0 {
		f.changed, f.forgotten, f.polled = slices.Collect(maps.Values(f.tails)), nil, 0
		for _, t := range f.changed {
			t.sent = -1
		}
	}
	for _, t := range f.changed {
		if f.tails[t.at] != t {
			continue
		}
		next, own := t.nextFetch()
		if own {
			if t.sent >= 0 {
				t.sent = -1
				f.polled--
				f.forgotten = append(f.forgotten, t)
			}
			continue
		}
		if t.sent == next {
			continue
		}
		if t.sent < 0 {
			f.polled++
		}
		t.sent = next
		req.add(t.info, t.at.partition, next, maxTailBytes)
	}
	for _, t := range f.forgotten {
		if again := f.tails[t.at]; again != nil && again.sent >= 0 { // it is polled again, and part of the request above
			continue
		}
		one := kmsg.NewFetchRequestForgottenTopic()
		one.Topic, one.TopicID, one.Partitions = t.at.topic, t.info.id, []int32{t.at.partition}
		req.ForgottenTopics = append(req.ForgottenTopics, one)
	}
	f.changed, f.forgotten = nil, nil
	return req.FetchRequest
}

// resetSession begins a new session. When the broker did not answer at all, the waiting cursors
// ask for the present leaders.
func (f *follower) resetSession(resp *kmsg.FetchResponse) {
	f.session, f.epoch = 0, 0
	if resp != nil { // it forgot the session, most likely
		_ = pause(f.all.log.ctx, minPollWait)
		return
	}
	f.all.mu.Lock()
	for _, t := range f.tails {
		f.all.log.topics.forget(t.at.topic)
		f.drop(t)
	}
	f.forgotten = nil
	f.all.mu.Unlock()
	_ = pause(f.all.log.ctx, fetchPause)
}

func (f *follower) handleResponse(resp *kmsg.FetchResponse) {
	f.session = resp.SessionID
	switch {
	case f.session == 0: // the broker has no room for one
		f.epoch = 0
	case f.epoch == math.MaxInt32:
		f.epoch = 1
	default:
		f.epoch++
	}
	f.deliver(resp)
}

// deliver hands out the fetched records.
func (f *follower) deliver(resp *kmsg.FetchResponse) {
	for i := range resp.Topics {
		topic := &resp.Topics[i]
		real := nameOf(topic, f.ids)
		for j := range topic.Partitions {
			p := &topic.Partitions[j]
			if t := f.tails[topicPartition{real, p.Partition}]; t != nil {
				next, _ := t.nextFetch()
				f.deliverTo(t, decode(real, t.topic, next, p, f.all.producerID.Load()))
			}
		}
	}
}

// deliverTo gives a tail the answer for its partition.
func (f *follower) deliverTo(t *tail, got fetchResult) {
	if got.err != nil {
		f.all.log.topics.forget(t.at.topic)
		f.all.mu.Lock()
		f.drop(t)
		f.all.mu.Unlock()
		return
	}
	if t.addFetched(got) {
		f.changed = append(f.changed, t)
	}
}
