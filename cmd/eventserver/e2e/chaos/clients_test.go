package chaos_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clients play the users: each posts its events 1, 2, 3, ... in order, and
// sends an event again, with the same id, until it is answered 202.
type clients struct {
	t        *testing.T
	o        *oracle
	addrs    []string     // of all instances; a client goes on to the next after a failure
	interval atomic.Int64 // between two events of a user, in ns; 0: as fast as it goes
	most     func(user string) int
	http     *http.Client

	numbers map[string]*atomic.Int64 // events posted and accepted, by user
	resent  atomic.Int64
	stopped chan struct{}
	wg      sync.WaitGroup
}

func newClients(t *testing.T, o *oracle, users int, addrs ...string) *clients {
	c := &clients{t: t, o: o, addrs: addrs, numbers: map[string]*atomic.Int64{}, stopped: make(chan struct{}),
		http: &http.Client{
			Timeout:   6 * time.Second, // a server that is paused for longer is given up, and gets the event twice
			Transport: &http.Transport{MaxIdleConns: 2 * users, MaxIdleConnsPerHost: users},
		}}
	for u := range users {
		c.numbers[fmt.Sprintf("u%d", u)] = &atomic.Int64{}
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// load starts all users.
func (c *clients) load() {
	for user, number := range c.numbers {
		c.wg.Go(func() {
			most := 1 << 30
			if c.most != nil {
				most = c.most(user)
			}
			if !c.wait(rand.N(c.between() + 1)) {
				return
			}
			for n := 1; n <= most; n++ {
				if !c.post(user, n) {
					return
				}
				number.Store(int64(n))
				if !c.wait(c.between()/2 + rand.N(c.between()+1)) {
					return
				}
			}
		})
	}
}

func (c *clients) between() time.Duration { return time.Duration(c.interval.Load()) }

// offer sets how many events a second all users post together.
func (c *clients) offer(rate float64) {
	c.interval.Store(int64(float64(len(c.numbers)) / rate * float64(time.Second)))
}

func (c *clients) wait(d time.Duration) bool {
	select {
	case <-c.stopped: // between two events: a request that is cut may or may not be stored
		return false
	default:
	}
	if d == 0 {
		return true
	}
	select {
	case <-c.stopped:
		return false
	case <-time.After(d):
		return true
	}
}

// stop ends the load; a server must be up, for events under way end with a 202.
func (c *clients) stop() {
	close(c.stopped)
	c.wg.Wait()
}

// closeUsers posts each user's last event, which no destination fails. When it has
// come, everything before it is delivered or poisoned: that is what order means.
func (c *clients) closeUsers() {
	var wg sync.WaitGroup
	for user, number := range c.numbers {
		wg.Go(func() {
			n := int(number.Add(1))
			c.o.mu.Lock()
			c.o.closing[user] = n
			c.o.mu.Unlock()
			c.post(user, n)
		})
	}
	wg.Wait()
}

// post sends one event until it is accepted; it returns false when the test
// ended first.
func (c *clients) post(user string, n int) bool {
	ctx, body := c.t.Context(), eventBody(user, n)
	c.o.posting(user, n)
	const first, most = 20 * time.Millisecond, 200 * time.Millisecond
	backoff := first
	for try := rand.IntN(len(c.addrs)); ctx.Err() == nil; try++ {
		sent := time.Now()
		status := c.send(ctx, c.addrs[try%len(c.addrs)], body)
		c.o.answered(status, sent)
		switch {
		case status == http.StatusAccepted:
			c.o.accept(user, n)
			return true
		case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
			c.t.Errorf("event %d of %s was refused with %d", n, user, status)
			return false
		}
		c.resent.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff)): // the server is down or refuses: hundreds that ask at once take the processor that it starts with
		}
		backoff = min(2*backoff, most)
	}
	return false
}

// send makes one request; 0 when it had no answer.
func (c *clients) send(ctx context.Context, addr string, body []byte) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
