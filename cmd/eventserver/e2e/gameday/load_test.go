package gameday_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
	"eventserver/cmd/eventserver/internal/checker"
)

// load is the steady load of one incident: events of a type that its
// destination takes, and with it the one beside it that takes all. Its users'
// events are numbered, so that a checker of its own can tell what is missing.
type load struct {
	name   string // of the type and of the destination
	beside string // the healthy destination
	addr   string // of the server
	users  int
	rate   atomic.Int64 // events each tenth of a second
	odd    atomic.Bool  // most of them are what no receiver takes
	check  *checker.Checker
	answer atomic.Pointer[func(d attempt) int] // nil: 200

	mu       sync.Mutex
	numbers  map[string]int
	oddIDs   map[string]bool // ids of odd events
	redriven int
	over     bool // nothing more is sent
	stop     context.CancelFunc
	done     chan struct{}
}

// attempt is an attempt as the receiver sees it.
type attempt struct {
	user   string
	n      int
	odd    bool
	header http.Header
}

func newLoad(name, beside, addr string) *load {
	s := &load{name: name, beside: beside, addr: addr, users: 20, check: checker.New(name, beside), numbers: map[string]int{}, oddIDs: map[string]bool{}, done: make(chan struct{})}
	s.rate.Store(2)
	return s
}

// answers has the load's receiver go by f from now on.
func (s *load) answers(f func(d attempt) int) { s.answer.Store(&f) }

// parseID is the way back from an event's id.
func parseID(id string) (user string, n int) {
	i := strings.LastIndexByte(id, '-')
	n, _ = strconv.Atoi(id[i+1:])
	return id[:max(i, 0)], n
}

// receive is the load's destination.
func (s *load) receive(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	id := r.Header.Get("Event-Id")
	d := attempt{header: r.Header}
	d.user, d.n = parseID(id)
	s.mu.Lock()
	d.odd = s.oddIDs[id]
	s.mu.Unlock()
	if f := s.answer.Load(); f != nil {
		if status := (*f)(d); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	s.delivered(s.name, id, r.Header.Get("Event-Sequence"), r.Header.Get("Delivery-Redrives"))
}

// delivered tells the checker. What was redriven comes after what it was given up
// before; among themselves they keep the order of each user.
func (s *load) delivered(destination, id, sequence, redrives string) {
	user, n := parseID(id)
	stored, _ := strconv.ParseInt(sequence, 10, 64)
	if redrives != "" && redrives != "0" {
		s.check.Poison(destination, user, n)
		s.check.Deliver(destination+", redriven", user, n, stored)
		s.mu.Lock()
		s.redriven++
		s.mu.Unlock()
		return
	}
	s.check.Deliver(destination, user, n, stored)
}

// begin sends until end.
func (s *load) begin(t *testing.T) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	s.stop = stop
	go func() {
		defer close(s.done)
		for tick := 0; ; tick++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
				s.send(tick)
			}
		}
	}()
	t.Cleanup(s.end)
}

// end returns when nothing more will be sent.
func (s *load) end() {
	s.stop()
	<-s.done
	s.over = true
}

// send posts events of the next users until they are accepted: an event is
// obliged to come from then on, and the next of its user is sent after that.
func (s *load) send(tick int) {
	var events, ids []string
	rate := int(s.rate.Load())
	s.mu.Lock()
	for i := range rate {
		who := (tick*rate + i) % s.users
		user := fmt.Sprintf("%s-u%d", s.name, who)
		s.numbers[user]++
		n := s.numbers[user]
		id := fmt.Sprintf("%s-%d", user, n)
		more := fmt.Sprintf(`,"total":%d`, n)
		if (n+who)%10 == 5 {
			more = "" // most have it
		}
		if s.odd.Load() && (tick+i)%5 != 0 {
			s.oddIDs[id] = true
		}
		events = append(events, fmt.Sprintf(`{"type":%q,"id":%q,"userId":%q,"n":%d%s}`, s.name, id, user, n, more))
		ids = append(ids, id)
		s.check.Post(user, n)
	}
	s.mu.Unlock()
	for began := time.Now(); time.Since(began) < 2*time.Minute; {
		if s.post("[" + strings.Join(events, ",") + "]") {
			for _, id := range ids {
				s.check.Accept(parseID(id))
			}
			return
		}
		<-time.After(200 * time.Millisecond) // as a client would
	}
}

func (s *load) post(body string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+"/v1/events", strings.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusAccepted
}

// discarded tells the checker that what no receiver takes is settled, and returns
// how many of it there were.
func (s *load) discarded() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.oddIDs {
		user, n := parseID(id)
		s.check.Poison(s.name, user, n)
	}
	return len(s.oddIDs)
}

// complete fails the test unless all that was accepted has come, in order. lines
// is the file that a file destination has written, or "".
func (s *load) complete(t *testing.T, lines string) {
	t.Helper()
	if !s.over { // and what comes after the repair is delivered as before
		before := s.check.Verdict().Accepted
		harness.WaitFor(t, time.Minute, "fifty more events", func() bool { return s.check.Verdict().Accepted >= before+50 })
	}
	s.end()
	if lines != "" {
		defer s.readLines(t, lines)()
	}
	var v checker.Verdict
	for began := time.Now(); ; {
		if v = s.check.Verdict(); v.Lost == 0 || time.Since(began) > time.Minute {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	for _, fault := range v.Faults() {
		t.Error(fault)
	}
	if !v.OK() || v.Accepted < 50 {
		t.Errorf("nothing lost, and in order? %v, foreign %d", v, v.Foreign)
	}
	s.mu.Lock()
	t.Logf("%v; %d redriven, %d discarded", v, s.redriven, len(s.oddIDs))
	s.mu.Unlock()
}

// readLines follows a file as the receiver that it is, until what it returns is
// called.
func (s *load) readLines(t *testing.T, path string) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for read := 0; ctx.Err() == nil; {
			b, _ := os.ReadFile(path)
			whole := strings.LastIndexByte(string(b), '\n') + 1
			for line := range strings.Lines(string(b[min(read, whole):whole])) {
				var l struct {
					EventID  string `json:"event_id"`
					Sequence *int64
					Redrives int
				}
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					continue // a reader skips what is not JSON: docs of the kind
				}
				s.delivered(s.name, l.EventID, fmt.Sprint(*cmp.Or(l.Sequence, new(int64))), fmt.Sprint(l.Redrives))
			}
			read = whole
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() { cancel(); <-done }
}
