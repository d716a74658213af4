package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// clients post every user's events in order: each user belongs to one
// connection, which waits for each answer.
type clients struct {
	cfg      Config
	addr     string
	recv     *receivers
	rate     float64 // events a second, 0: as fast as the answers come
	numbers  []int   // of each user's last event; a user belongs to one connection
	accepted atomic.Int64
	awaited  atomic.Int64 // accepted, of users that do not always fail
	retried  atomic.Int64 // requests that were not answered with 202

	mu   sync.Mutex
	took []time.Duration // from due to the 202, while measuring
}

func newClients(cfg Config, addr string, recv *receivers) *clients {
	return &clients{cfg: cfg, addr: addr, recv: recv, rate: cfg.Rate, numbers: make([]int, cfg.Users)}
}

// fill posts until so many events are accepted, as fast as the answers come.
func (c *clients) fill(ctx context.Context, events int64) error {
	c.rate = 0
	defer func() { c.rate = c.cfg.Rate }()
	return c.run(ctx, events)
}

// answered returns what was measured, sorted.
func (c *clients) answered() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.took)
	return c.took
}

// run posts until ctx ends or so many events are accepted in all; a request under way
// comes to its end.
func (c *clients) run(ctx context.Context, most int64) error {
	var wg sync.WaitGroup
	errs := make(chan error, c.cfg.Connections)
	for conn := range c.cfg.Connections {
		wg.Go(func() {
			if err := c.connection(ctx, conn, most); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// connection posts for the users conn, conn+Connections, ... in turn.
func (c *clients) connection(ctx context.Context, conn int, most int64) error {
	var users []int
	for u := conn; u < c.cfg.Users; u += c.cfg.Connections {
		users = append(users, u)
	}
	var interval, due time.Duration
	if c.rate > 0 { // spread, so that the connections do not fire together
		perRequest := float64(c.cfg.Batch) * float64(time.Second) / c.rate
		interval = time.Duration(perRequest * float64(c.cfg.Connections))
		due = time.Since(c.recv.began) + time.Duration(perRequest*float64(conn))
	}
	link, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	defer func() { _ = link.Close() }()
	p := &poster{clients: c, conn: link, br: bufio.NewReaderSize(link, 8<<10)}
	var body []byte
	for i := 0; ctx.Err() == nil && c.accepted.Load() < most; {
		if interval > 0 {
			if !sleep(ctx, due-time.Since(c.recv.began)) {
				return nil
			}
		} else {
			for c.awaited.Load()-c.recv.slowest() > int64(c.cfg.Backlog) {
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
			user := users[(i+b)%len(users)]
			c.numbers[user]++
			body = appendEvent(body, c.cfg.Size, user, c.numbers[user], due)
		}
		if c.cfg.Batch > 1 {
			body = append(body, ']')
		}
		if err := p.post(body); err != nil {
			return err
		}
		if c.recv.measuring.Load() {
			c.mu.Lock()
			c.took = append(c.took, time.Since(c.recv.began)-due)
			c.mu.Unlock()
		}
		for b := range min(c.cfg.Batch, len(users)) {
			user := users[(i+b)%len(users)]
			c.recv.check.Accept("u"+strconv.Itoa(user), c.numbers[user])
		}
		for b := range c.cfg.Batch {
			if users[(i+b)%len(users)] >= c.recv.failing {
				c.awaited.Add(1)
			}
		}
		i += c.cfg.Batch
		c.accepted.Add(int64(c.cfg.Batch))
		due += interval
	}
	return nil
}

// poster is one connection.
type poster struct {
	*clients
	conn     net.Conn
	br       *bufio.Reader
	out, ans []byte
}

// post sends a request until it is accepted.
func (p *poster) post(body []byte) error {
	for range 100 {
		p.out = fmt.Appendf(p.out[:0], "POST /v1/events HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
		p.out = append(p.out, body...)
		if _, err := p.conn.Write(p.out); err != nil {
			return err
		}
		status, length, err := readHead(p.br)
		if err != nil {
			return err
		}
		if p.ans, err = readBody(p.br, p.ans, length); err != nil {
			return err
		}
		switch status {
		case "202":
			return nil
		case "429", "503":
		default:
			return fmt.Errorf("the server answered %s: %s", status, p.ans)
		}
		p.retried.Add(1)
		sleep(context.Background(), 100*time.Millisecond)
	}
	return errors.New("an event was refused 100 times")
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
