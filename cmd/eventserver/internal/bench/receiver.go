package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eventserver/cmd/eventserver/internal/checker"
)

// receivers play all destinations of one run.
type receivers struct {
	cfg     Config
	latency time.Duration
	began   time.Time
	check   *checker.Checker
	listen  net.Listener
	hang    net.Listener // accepts connections and answers nothing; nil: there is none

	down      atomic.Bool                    // answer 503
	awaited   atomic.Pointer[chan time.Time] // gets the time of the next request, which is answered whatever down says
	measuring atomic.Bool
	first     atomic.Int64 // first deliveries, of all destinations
	failed    atomic.Int64 // attempts that were answered with an error
	perDest   []atomic.Int64
	failing   int // users below it always fail

	mu   sync.Mutex
	seen []time.Duration // from due to arrival, while measuring
	held []net.Conn      // of hang
	over bool            // hang is closed
}

func newReceivers(ctx context.Context, cfg Config, latency time.Duration) (*receivers, error) {
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
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.listen = l
	go r.accept()
	if cfg.Hanging > 0 {
		if r.hang, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return nil, errors.Join(err, l.Close())
		}
		go r.hold()
	}
	return r, nil
}

// close ends the receivers.
func (r *receivers) close() error {
	err := r.listen.Close()
	if r.hang == nil {
		return err
	}
	err = errors.Join(err, r.hang.Close())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for _, conn := range r.held {
		_ = conn.Close()
	}
	return err
}

// hold accepts connections until the listener is closed.
func (r *receivers) hold() {
	for {
		conn, err := r.hang.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.held = append(r.held, conn)
		if r.over { // accepted while it was closed
			_ = conn.Close()
		}
		r.mu.Unlock()
	}
}

// refusing is where nobody listens: the discard service of old. A port that was free
// a moment ago may be given to somebody, also as the near end of a connection to it.
const refusing = "http://127.0.0.1:9"

// target is a destination as a program is told it.
type target struct{ id, url string }

func (r *receivers) targets() []target {
	var all []target
	for i := range r.cfg.Destinations {
		all = append(all, target{destination(i), "http://" + r.listen.Addr().String() + "/" + destination(i)})
	}
	for i := range r.cfg.Dead {
		id := fmt.Sprintf("dead%d", i)
		all = append(all, target{id, refusing + "/" + id})
	}
	for i := range r.cfg.Hanging {
		id := fmt.Sprintf("hanging%d", i)
		all = append(all, target{id, "http://" + r.hang.Addr().String() + "/" + id})
	}
	return all
}

// accept serves until the listener is closed. A connection ends with the server
// that opened it.
func (r *receivers) accept() {
	for {
		conn, err := r.listen.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_ = r.serve(conn) // the server closed it
		}()
	}
}

func (r *receivers) serve(conn net.Conn) error {
	br := bufio.NewReaderSize(conn, 8<<10)
	var buf []byte
	for {
		path, length, err := readHead(br)
		if err != nil {
			return err
		}
		if buf, err = readBody(br, buf, length); err != nil {
			return err
		}
		dest, err := strconv.Atoi(strings.TrimPrefix(path, "/d"))
		if err != nil || dest < 0 || dest >= len(r.perDest) {
			return errHTTP
		}
		status := r.receive(buf, dest)
		if status != 200 {
			r.failed.Add(1)
		}
		if _, err := conn.Write(answers[status]); err != nil {
			return err
		}
	}
}

// answers are the receivers' by status.
var answers = map[int][]byte{
	200: []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
	400: []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
	500: []byte("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
	503: []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
}

func destination(i int) string { return fmt.Sprintf("d%d", i) }

// receive notes the events of one request and returns the status to answer.
func (r *receivers) receive(body []byte, dest int) int {
	if r.latency > 0 {
		<-time.After(r.latency)
	}
	now := time.Since(r.began)
	if awaited := r.awaited.Swap(nil); awaited != nil {
		*awaited <- time.Now()
	} else if r.down.Load() {
		return 503
	}
	for rest := body; len(rest) > 2; {
		e, after, err := parseEvent(rest)
		if err != nil {
			return 400
		}
		rest = after
		if e.user0 < r.failing {
			return 500
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
	return 200
}

// next gets the time of the next request.
func (r *receivers) next() <-chan time.Time {
	c := make(chan time.Time, 1)
	r.awaited.Store(&c)
	return c
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
