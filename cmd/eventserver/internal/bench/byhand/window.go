package byhand

import "sync"

// window is what one destination has done of a log. Events are done in any order;
// kept is the first that is not.
type window struct {
	mu   sync.Mutex
	next int64  // the first that is not done
	done []bool // of next and what follows
}

// begin adds the event at an offset, which is higher than those before it. What lies
// between them does not exist.
func (w *window) begin(offset int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.next+int64(len(w.done)) < offset {
		w.done = append(w.done, true)
	}
	w.done = append(w.done, false)
	w.advance()
}

func (w *window) end(offset int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[offset-w.next] = true
	w.advance()
}

func (w *window) advance() {
	for len(w.done) > 0 && w.done[0] {
		w.done = w.done[1:]
		w.next++
	}
}

func (w *window) kept() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// log is one sequence of events: Pebble's, or a partition of Kafka's.
type log struct {
	windows []*window // of each destination
	kept    []int64   // what was last written of each
}

func newLog(next ...int64) *log {
	l := &log{kept: next}
	for _, n := range next {
		l.windows = append(l.windows, &window{next: n})
	}
	return l
}

// least is the first event that some destination has not done.
func (l *log) least() int64 {
	least := l.windows[0].kept()
	for _, w := range l.windows {
		least = min(least, w.kept())
	}
	return least
}
