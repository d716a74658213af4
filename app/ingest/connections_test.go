package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"eventserver/app/ingest/budget"
)

// serving runs a server whose places for connections are few. idle is sent one
// for each answer whose connection waits for its client again, which the client
// cannot see.
func serving(t *testing.T, places int64) (s *Server, idle <-chan struct{}) {
	t.Helper()
	s = limited(t, Config{Memory: 4 * places * budget.ConnectionCost})
	waits, state := make(chan struct{}, 100), s.server.ConnState
	s.server.ConnState = func(conn net.Conn, next http.ConnState) {
		if state(conn, next); next == http.StateIdle {
			waits <- struct{}{}
		}
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		_ = s.server.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, waits
}

type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, s *Server, send string) *client {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{Conn: conn, in: bufio.NewReader(conn)}
	c.send(t, send)
	return c
}

func (c *client) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// status reads an answer; 0: the server has closed the connection.
func (c *client) status(t *testing.T) int {
	t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

const get, slow = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "POST " + PathEvents + " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"

// Whoever connected held a place until he went: so many connections, idle or
// slow, locked everybody else out, or took all memory. The one that has waited
// for its client for longest makes room.
func TestConnectionsThatWaitMakeRoom(t *testing.T) {
	const places = 8
	s, waits := serving(t, places)
	answered := func() *client {
		t.Helper()
		c := dial(t, s, get)
		if code := c.status(t); code != 200 {
			t.Fatalf("a connection was answered %d", code)
		}
		<-waits
		return c
	}
	idle := answered()
	uploading := dial(t, s, slow)
	if code := uploading.status(t); code != 100 {
		t.Fatal(code)
	}
	var others []*client
	for range places - 2 {
		others = append(others, answered())
	}
	for i, gone := range []*client{idle, uploading, others[0]} {
		answered()
		if code := gone.status(t); code != 0 {
			t.Errorf("the %d. that had waited for longest was answered %d", i+1, code)
		}
	}
	others[1].send(t, get)
	if code := others[1].status(t); code != 200 {
		t.Errorf("one that had waited for less was answered %d", code)
	}
}

// A request that the server works on keeps its place; when all do, a connection
// more is closed.
func TestConnectionsAtWorkKeepTheirPlaces(t *testing.T) {
	const places = 4
	s, _ := serving(t, places)
	in, err := s.Subscriber().Subscribe(t.Context(), PathEvents)
	if err != nil {
		t.Fatal(err)
	}
	for range places {
		c := dial(t, s, "POST "+PathEvents+" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		msg := <-in
		defer func() {
			msg.Ack()
			if code := c.status(t); code != 202 {
				t.Errorf("a request at work was answered %d", code)
			}
		}()
	}
	if code := dial(t, s, get).status(t); code != 0 {
		t.Errorf("one too many was answered %d", code)
	}
}

// A connection that sends nothing costs what it is taken for, and the head of a
// request what it is charged, however slowly it comes: short names take a hundred
// times their bytes.
func TestHeadsHoldWhatTheyAreCharged(t *testing.T) {
	const many = 100
	var short strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&short, "%x:\r\n", i)
	}
	for name, sent := range map[string]string{
		"nothing":     "",
		"a line":      "POST / HTTP/1.1\r\nHost: x\r\n",
		"short names": "POST / HTTP/1.1\r\n" + short.String(),
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := serving(t, 4*many)
			memory := func() int64 {
				held := heap()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return held + int64(m.StackInuse)
			}
			before := memory()
			clients := make([]*client, many)
			for i := range clients {
				clients[i] = dial(t, s, sent)
			}
			// One that is answered came after all others were accepted.
			if code := dial(t, s, get).status(t); code != 200 {
				t.Fatal(code)
			}
			used := s.budget.Used()
			if held := memory() - before; held > used+many*(budget.ConnectionCost+8<<10) { // 8 KiB: the client's half
				t.Errorf("%d connections hold %d bytes, charged %d", many, held, used)
			}
			if used > s.budget.Total() {
				t.Errorf("%d bytes of %d are charged", used, s.budget.Total())
			}
			runtime.KeepAlive(clients)
		})
	}
}
