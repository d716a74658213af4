package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"eventserver/app/checker"
)

// receivers play all destinations of one run.
type receivers struct {
	cfg     Config
	latency time.Duration
	began   time.Time
	check   *checker.Checker
	server  *httptest.Server

	measuring atomic.Bool
	first     atomic.Int64 // first deliveries, of all destinations
	perDest   []atomic.Int64
	failing   int // users below it always fail

	mu   sync.Mutex
	seen []time.Duration // from due to arrival, while measuring
}

func newReceivers(cfg Config, latency time.Duration) *receivers {
	r := &receivers{cfg: cfg, latency: latency, began: time.Now(), perDest: make([]atomic.Int64, cfg.Destinations),
		failing: int(cfg.Failing * float64(cfg.Users))}
	var names []string
	for i := range cfg.Destinations {
		names = append(names, destination(i))
	}
	r.check = checker.New(names...)
	for u := range r.failing {
		r.check.Excuse("u" + strconv.Itoa(u))
	}
	mux := http.NewServeMux()
	for i := range cfg.Destinations {
		mux.HandleFunc("/"+destination(i), func(w http.ResponseWriter, req *http.Request) { r.receive(w, req, i) })
	}
	r.server = httptest.NewServer(mux)
	return r
}

func destination(i int) string { return fmt.Sprintf("d%d", i) }

func (r *receivers) receive(w http.ResponseWriter, req *http.Request, dest int) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if r.latency > 0 {
		t := time.NewTimer(r.latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-req.Context().Done():
			return
		}
	}
	now := time.Since(r.began)
	for rest := body; len(rest) > 2; {
		var e received
		if e, rest, err = parseEvent(rest); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if e.user0 < r.failing {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if !r.check.Deliver(destination(dest), e.user, e.number, 0) {
			continue
		}
		r.first.Add(1)
		r.perDest[dest].Add(1)
		if r.measuring.Load() {
			r.mu.Lock()
			r.seen = append(r.seen, now-e.due)
			r.mu.Unlock()
		}
	}
}

// slowest is the number of deliveries of the destination that has fewest.
func (r *receivers) slowest() int64 {
	least := r.perDest[0].Load()
	for i := range r.perDest {
		least = min(least, r.perDest[i].Load())
	}
	return least
}

// latencies returns what was measured, sorted.
func (r *receivers) latencies() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.seen)
	return r.seen
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
