package chaos_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// blockingReceiver does not answer one user's first event until it is released, and
// passes everything else on to the oracle's receiver.
type blockingReceiver struct {
	o       *oracle
	next    http.Handler
	first   string // id of that event
	release chan struct{}

	mu     sync.Mutex
	phase  string
	others map[string][]time.Duration // latency of everybody else, by phase
	got    atomic.Int64               // deliveries of the user
}

func (s *blockingReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Event-Id")
	busy, _, _ := parseID(s.first)
	user, n, _ := parseID(id)
	if id == s.first {
		select {
		case <-s.release:
		case <-r.Context().Done():
			return
		}
	}
	if user == busy {
		s.got.Add(1)
	} else {
		took := time.Since(s.o.postedAt(user, n))
		s.mu.Lock()
		s.others[s.phase] = append(s.others[s.phase], took)
		s.mu.Unlock()
	}
	s.next.ServeHTTP(w, r)
}

func (s *blockingReceiver) enter(phase string) {
	s.mu.Lock()
	s.phase = phase
	s.mu.Unlock()
}

// A user whose first event is stuck, with very many queued behind it, starves
// nobody: not while it is stuck, not while its events come, in their order.
func TestUserWithManyQueuedEvents(t *testing.T) {
	queued, look := 2_000, 200
	if chaosForm(t) == "long" {
		queued, look = 100_000, 1000
	}
	bin := harness.Program(t)
	for name, broker := range durableBrokers(t) {
		t.Run(name, func(t *testing.T) {
			const busy, array = "busy", 500
			o := newOracle(t, "one")
			in := &blockingReceiver{o: o, next: o.receivers["one"].Handler, first: eventID(busy, 1), release: make(chan struct{}), phase: "alone", others: map[string][]time.Duration{}}
			receiver := httptest.NewServer(in)
			t.Cleanup(receiver.Close)
			s := newServer(t, o, "a", setup{bin: bin, broker: broker, urls: map[string]string{"one": receiver.URL}, destinations: ", timeout: 1h"})
			p := s.Start(t)
			c := newClients(t, o, 50, s.Addr)
			c.offer(200)
			c.load()
			awaitDeliveries(t, o, look)
			in.enter("beside the queue")
			for first := 1; first <= queued; first += array {
				var events [][]byte
				for n := first; n < first+array; n++ {
					o.posting(busy, n)
					events = append(events, eventBody(busy, n))
				}
				body := append(append([]byte{'['}, bytes.Join(events, []byte{','})...), ']')
				if status := c.send(t.Context(), s.Addr, body); status != http.StatusAccepted {
					t.Fatalf("events from %d on: %d", first, status)
				}
				for n := first; n < first+array; n++ {
					o.accept(busy, n)
				}
			}
			awaitDeliveries(t, o, look)
			if n := in.got.Load(); n != 0 {
				t.Errorf("%d events came past the stuck one", n)
			}
			in.enter("while it is worked off")
			close(in.release)
			harness.WaitFor(t, 20*time.Minute, "the queued events", func() bool { return o.check.Has("one", busy, queued) })
			c.stop()
			v := o.settle(t)
			p.Terminate()
			if v.Duplicates != 0 {
				t.Errorf("%d duplicates", v.Duplicates)
			}
			for _, phase := range []string{"alone", "beside the queue", "while it is worked off"} {
				t.Logf("%d queued; the others %s: p50 %v, p99 %v of %d", queued, phase,
					percentile(in.others[phase], .5), percentile(in.others[phase], .99), len(in.others[phase]))
			}
		})
	}
}
