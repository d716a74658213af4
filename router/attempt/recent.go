package attempt

import (
	"hash/maphash"
	"sync"
	"time"
)

// Finish is how and when a delivery came to its end.
type Finish struct {
	At       time.Time
	Attempts int
	Outcome  string // metrics.Delivered, Skipped or Poisoned
}

// recentSize is how many deliveries of each destination are remembered: 192 KiB,
// from its first delivery on.
const recentSize = 4096

// Recent remembers the last deliveries of a destination, in a ring. Of an
// event's id and key it has hashes, so that nothing is allocated and nothing of a
// record is kept alive. The zero value is empty; nil remembers nothing.
type Recent struct {
	mu   sync.Mutex
	seed maphash.Seed
	ring []finished
	next int // place of the next one, which is that of the oldest
}

type finished struct {
	id, key  uint64
	at       int64 // Unix, ns
	attempts uint32
	outcome  string // a constant
}

// add remembers the end of a delivery.
func (r *Recent) add(id, key, outcome string, attempts int, at time.Time) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ring == nil {
		r.ring, r.seed = make([]finished, recentSize), maphash.MakeSeed()
	}
	r.ring[r.next] = finished{maphash.String(r.seed, id), maphash.String(r.seed, key), at.UnixNano(), uint32(attempts), outcome}
	r.next = (r.next + 1) % recentSize
}

// Of returns what is remembered of an event, the last first. With "" for its key
// users that have events of the same id are not told apart.
func (r *Recent) Of(id, key string) (out []Finish) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ring == nil {
		return nil
	}
	hash, keyHash := maphash.String(r.seed, id), maphash.String(r.seed, key)
	for i := range recentSize {
		f := &r.ring[(r.next-1-i+2*recentSize)%recentSize]
		if f.outcome == "" { // the ring is not full yet
			break
		}
		if f.id == hash && (key == "" || f.key == keyHash) {
			out = append(out, Finish{At: time.Unix(0, f.at), Attempts: int(f.attempts), Outcome: f.outcome})
		}
	}
	return out
}
