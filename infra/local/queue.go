package local

import (
	"sync"
	"sync/atomic"

	"eventserver/infra"
)

// request is one call that waits for the committer.
type request struct {
	records  []*infra.Record
	bytes    int          // of records, about
	parts    []*partition // of records
	progress []progressUpdate
	durable  bool
	// encode, for a request without records, adds its changes to the batch. It runs in the
	// committer. onStored runs after the batch was stored.
	encode   func(*group) error
	onStored func()

	state atomic.Int32
	done  chan error // holds one
}

const (
	stateQueued = iota
	stateTaken
	stateAbandoned // the caller has gone
)

var requests = sync.Pool{New: func() any { return &request{done: make(chan error, 1)} }}

func newRequest() *request { return requests.Get().(*request) }

// check refuses a request for a topic that was deleted meanwhile.
func (r *request) check() error {
	for _, p := range r.parts {
		if p.topic.deleted.Load() {
			return errNoTopic(p.topic.name)
		}
	}
	for i := range r.progress {
		if t := r.progress[i].entry.topic; t.deleted.Load() {
			return errNoTopic(t.name)
		}
	}
	return nil
}

// awaitsSync reports whether earlier records wait for the disk.
func (r *request) awaitsSync() bool {
	for _, p := range r.parts {
		if p.syncing.Load() {
			return true
		}
	}
	return false
}

// recycle reuses a request whose answer was received.
func (r *request) recycle() {
	clear(r.parts)
	clear(r.progress)
	*r = request{parts: r.parts[:0], progress: r.progress[:0], done: r.done}
	requests.Put(r)
}

// queue holds the calls that the committer has not taken yet. Durable calls wait during a
// sync, because they need the next one. Other calls do not wait.
type queue struct {
	mu       sync.Mutex
	steps    []*request
	durables []*request
	syncing  bool  // a sync is under way
	closed   bool  // no more comes
	full     error // the disk is full: nothing is taken now
	failure  error // nothing is accepted any more

	failureNoLock atomic.Pointer[error] // failure, readable without the lock
	failed        chan struct{}         // closed when failure is set
	wake          chan struct{}         // holds one
}

func (q *queue) init() {
	q.wake = make(chan struct{}, 1)
	q.failed = make(chan struct{})
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// state is the reason why nothing can be stored, or nil.
func (q *queue) state() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stateLocked()
}

func (q *queue) stateLocked() error {
	switch {
	case q.failure != nil:
		return q.failure
	case q.closed:
		return ErrClosed
	}
	return q.full
}

func (q *queue) add(r *request) error {
	q.mu.Lock()
	if err := q.stateLocked(); err != nil {
		q.mu.Unlock()
		return err
	}
	wake := true
	if r.durable {
		q.durables = append(q.durables, r)
		wake = !q.syncing // its end wakes the committer
	} else {
		q.steps = append(q.steps, r)
	}
	q.mu.Unlock()
	if wake {
		q.signal()
	}
	return nil
}

// groupBytes is the size from which a group takes no more calls.
const groupBytes = 4 << 20

// takeSteps moves the calls that do not wait for the disk into steps, as many as a group
// may hold. No others stay with the committer, where they would hang with Pebble.
func (q *queue) takeSteps(steps *[]*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.steps = moveRequests(steps, q.steps, q.syncing)
}

// takeDurables moves the calls of the next sync into durables, but none during a sync.
// empty: none is left.
func (q *queue) takeDurables(durables *[]*request) (syncing, closed, empty bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.syncing {
		q.durables = moveRequests(durables, q.durables, false)
	}
	return q.syncing, q.closed, len(q.steps)+len(q.durables) == 0
}

// moveRequests fills into from the front of from, and returns the rest.
func moveRequests(into *[]*request, from []*request, syncing bool) []*request {
	*into = (*into)[:0]
	bytes := 0
	for _, r := range from {
		// Records of a partition become readable in order.
		if bytes >= groupBytes || syncing && r.awaitsSync() {
			break
		}
		bytes += r.bytes
		*into = append(*into, r)
	}
	rest := copy(from, from[len(*into):])
	clear(from[rest:])
	return from[:rest]
}

func (q *queue) setSyncing(on bool) {
	q.mu.Lock()
	q.syncing = on
	q.mu.Unlock()
	if !on {
		q.signal()
	}
}

// close refuses new calls. Calls in the queue are still committed.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

// kill ends the queue with err; false when it was dead already.
func (q *queue) kill(err error) bool {
	q.mu.Lock()
	if q.failure != nil {
		q.mu.Unlock()
		return false
	}
	q.failure = err
	q.failureNoLock.Store(&err)
	waiting := q.emptyLocked()
	close(q.failed)
	q.mu.Unlock()
	answer(waiting, err)
	return true
}

// block answers waiting calls with err, and new ones until unblock.
func (q *queue) block(err error) {
	q.mu.Lock()
	q.full = err
	waiting := q.emptyLocked()
	q.mu.Unlock()
	answer(waiting, err)
}

func (q *queue) unblock() {
	q.mu.Lock()
	q.full = nil
	q.mu.Unlock()
}

func (q *queue) emptyLocked() []*request {
	waiting := append(q.steps, q.durables...)
	q.steps, q.durables = nil, nil
	return waiting
}

// answer answers requests that have not been taken.
func answer(waiting []*request, err error) {
	for _, r := range waiting {
		if r.state.CompareAndSwap(stateQueued, stateTaken) {
			r.done <- err
		}
	}
}
