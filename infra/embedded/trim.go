package embedded

import (
	"sync"
	"time"

	"eventserver/infra"
	"eventserver/infra/kafka"
)

// trimmer removes records that every group has done, TrimAge after it saw
// that they were. Disk and memory stay bounded by what is undelivered.
type trimmer struct {
	broker *kafka.Broker
	age    time.Duration
	quit   chan struct{}
	done   chan struct{}

	mu     sync.Mutex
	topics map[string]struct{}
}

func newTrimmer(b *kafka.Broker, age time.Duration) *trimmer {
	t := &trimmer{broker: b, age: age, quit: make(chan struct{}), done: make(chan struct{}), topics: map[string]struct{}{}}
	go t.run()
	return t
}

func (t *trimmer) watch(topics []infra.Topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, topic := range topics {
		if !topic.Keep {
			t.topics[topic.Name] = struct{}{}
		}
	}
}

func (t *trimmer) stop() {
	close(t.quit)
	<-t.done
}

// run looks four times per age. What it sees as done now may go one age later.
func (t *trimmer) run() {
	defer close(t.done)
	const looks = 4
	tick := time.NewTicker(max(t.age/looks, 10*time.Millisecond))
	defer tick.Stop()
	var seen []map[string]kafka.Done
	for {
		select {
		case <-t.quit:
			return
		case <-tick.C:
		}
		now := map[string]kafka.Done{}
		t.mu.Lock()
		topics := make([]string, 0, len(t.topics))
		for name := range t.topics {
			topics = append(topics, name)
		}
		t.mu.Unlock()
		for _, name := range topics {
			if d, err := t.broker.DoneByAll(name); err == nil {
				now[name] = d
			}
		}
		seen = append(seen, now)
		if len(seen) <= looks {
			continue
		}
		for name, d := range seen[0] {
			_ = t.broker.Trim(name, still(d, now[name])) // tried again at the next look
		}
		seen = seen[1:]
	}
}

// still returns what was done then and is done now. A group may have come since
// then, or have been set back to deliver again.
func still(then, now kafka.Done) kafka.Done {
	both := kafka.Done{}
	for p, at := range then {
		if low, known := now[p]; known {
			both[p] = min(at, low)
		}
	}
	return both
}
