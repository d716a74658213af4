package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// clients post every user's events in order: each user belongs to one
// connection, which waits for each answer.
type clients struct {
	cfg      Config
	url      string
	recv     *receivers
	http     *http.Client
	accepted atomic.Int64
	retried  atomic.Int64 // requests that were not answered with 202
}

func newClients(cfg Config, url string, recv *receivers) *clients {
	return &clients{cfg: cfg, url: url, recv: recv, http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: cfg.Connections, MaxConnsPerHost: cfg.Connections, DisableCompression: true},
		Timeout:   30 * time.Second,
	}}
}

// run posts until ctx ends; a request under way comes to its end.
func (c *clients) run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make(chan error, c.cfg.Connections)
	for conn := range c.cfg.Connections {
		wg.Go(func() {
			if err := c.connection(ctx, conn); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	c.http.CloseIdleConnections()
	close(errs)
	return <-errs
}

// connection posts for the users conn, conn+Connections, ... in turn.
func (c *clients) connection(ctx context.Context, conn int) error {
	var users []int
	for u := conn; u < c.cfg.Users; u += c.cfg.Connections {
		users = append(users, u)
	}
	numbers := make([]int, len(users))
	var interval, due time.Duration
	if c.cfg.Rate > 0 { // spread, so that the connections do not fire together
		perRequest := float64(c.cfg.Batch) * float64(time.Second) / c.cfg.Rate
		interval = time.Duration(perRequest * float64(c.cfg.Connections))
		due = time.Since(c.recv.began) + time.Duration(perRequest*float64(conn))
	}
	var body []byte
	for i := 0; ctx.Err() == nil; {
		if interval > 0 {
			if !sleep(ctx, due-time.Since(c.recv.began)) {
				return nil
			}
		} else {
			for c.accepted.Load()-c.recv.slowest() > int64(c.cfg.Backlog) {
				if !sleep(ctx, 2*time.Millisecond) {
					return nil
				}
			}
			due = time.Since(c.recv.began)
		}
		body = body[:0]
		if c.cfg.Batch > 1 {
			body = append(body, '[')
		}
		for b := range c.cfg.Batch {
			if b > 0 {
				body = append(body, ',')
			}
			at := (i + b) % len(users)
			numbers[at]++
			body = appendEvent(body, c.cfg.Size, users[at], numbers[at], due)
		}
		if c.cfg.Batch > 1 {
			body = append(body, ']')
		}
		if err := c.post(body); err != nil {
			return err
		}
		for b := range min(c.cfg.Batch, len(users)) {
			at := (i + b) % len(users)
			c.recv.check.Accept("u"+strconv.Itoa(users[at]), numbers[at])
		}
		i += c.cfg.Batch
		c.accepted.Add(int64(c.cfg.Batch))
		due += interval
	}
	return nil
}

// post sends a request until it is accepted.
func (c *clients) post(body []byte) error {
	for range 100 {
		resp, err := c.http.Post(c.url, "application/json", bytes.NewReader(body)) //nolint:noctx // the client's own timeout bounds it; an end of the run must not cut it
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		_ = resp.Body.Close()
		switch {
		case err != nil:
			return err
		case resp.StatusCode == http.StatusAccepted:
			return nil
		case resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable:
			return fmt.Errorf("the server answered %d: %s", resp.StatusCode, answer)
		}
		c.retried.Add(1)
		sleep(context.Background(), 100*time.Millisecond)
	}
	return fmt.Errorf("an event was refused 100 times")
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
