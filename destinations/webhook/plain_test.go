package webhook

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"eventserver/destinations/destinationtest"
)

// Which answers leave a connection that the next request may use.
func TestConnectionAfterAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		kept   bool
		want   string // verdict
	}{
		"with a length":         {okAnswer, true, "ok"},
		"empty":                 {"HTTP/1.1 204 No Content\r\n\r\n", true, "ok"},
		"chunked":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true, "ok"},
		"chunked, with trailer": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: b\r\n\r\n", true, "ok"},
		"an error":              {"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", true, "retry"},
		"after 1xx":             {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + okAnswer, true, "ok"},
		"HTTP/1.0":              {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, "ok"},
		"told to close":         {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, "ok"},
		"longer than is read":   {"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000), false, "ok"},
		"with more behind it":   {okAnswer + okAnswer, false, "ok"},
		"101":                   {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", false, "retry"},
		"1xx and no more":       {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", informative+1), false, "retry"},
		"no HTTP":               {"SSH-2.0-OpenSSH\r\n", false, "retry"},
		"headers without end":   {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*headerMost), false, "retry"},
	} {
		t.Run(name, func(t *testing.T) {
			r := rawReceiver(t, func(conn net.Conn, _ got) bool {
				_, _ = io.WriteString(conn, c.answer)
				return true // the connection is the client's to close
			})
			d := open(t, Config{URL: r.url, MaxResponseBytes: 10_000})
			for i := range 2 {
				err := d.Deliver(t.Context(), delivery(fmt.Sprint("e", i)))
				if got := destinationtest.Verdict(err); got != c.want {
					t.Fatalf("verdict %q: %v", got, err)
				}
			}
			if all := r.requests(); len(all) != 2 || (all[0].conn == all[1].conn) != c.kept {
				t.Errorf("requests %+v, want the connection kept: %v", all, c.kept)
			}
		})
	}
}

// closed tells a test that a connection was closed.
type closed struct {
	net.Conn
	is atomic.Bool
}

func (c *closed) Close() error {
	c.is.Store(true)
	return c.Conn.Close()
}

// elapse lets the clock of a synctest bubble run on.
func elapse(d time.Duration) {
	<-time.After(d)
}

func TestPoolIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool{most: 2, idle: time.Minute}
		var conns []*closed
		put := func() {
			conn, _ := net.Pipe()
			c := &closed{Conn: conn}
			conns = append(conns, c)
			p.put(newLink(c))
		}
		want := func(when string, want ...bool) {
			t.Helper()
			synctest.Wait()
			for i, c := range conns {
				if c.is.Load() != want[i] {
					t.Errorf("%s: connection %d closed %v, want %v", when, i, c.is.Load(), want[i])
				}
			}
		}
		put()
		elapse(30 * time.Second)
		put()
		put()
		want("more than fit", false, false, true)
		elapse(31 * time.Second)
		want("a minute after the first", true, false, true)
		if l := p.take(); l == nil || l.Conn != conns[1] {
			t.Error("the one that is left is not taken")
		} else {
			p.put(l)
		}
		if l := p.take(); l == nil {
			t.Error("it is not taken again")
		} else {
			p.close()
			p.put(l)
			want("put after the end", true, true, true)
		}
	})
}

// An attempt ends with its context wherever it is, and its connection with it.
func TestAttemptEndsWithItsContext(t *testing.T) {
	for name, begin := range map[string]string{"no answer": "", "half a head": "HTTP/1.1 200 OK\r\n", "half a body": "HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nx"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			r := rawReceiver(t, func(conn net.Conn, _ got) bool {
				_, _ = io.WriteString(conn, begin)
				cancel()
				_, err := conn.Read(make([]byte, 1))
				ended <- err
				return false
			})
			if err := open(t, Config{URL: r.url}).Deliver(ctx, delivery("e")); err == nil {
				t.Error("no error")
			}
			if err := <-ended; err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

func TestPlainAddress(t *testing.T) {
	for in, want := range map[string]string{
		"http://a.example": "a.example:80", "http://a.example:8080/x": "a.example:8080", "http://[::1]/x": "[::1]:80", "http://[::1]:81": "[::1]:81", "http://bücher.example": "xn--bcher-kva.example:80",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := plainAddress(u); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// What is sent and what comes back is the same with both clients.
func TestPlainSendsWhatTheTransportSends(t *testing.T) {
	var seen []http.Header
	d := open(t, Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header.Clone()
		h.Set("Seen", fmt.Sprint(r.Method, r.Host, r.URL, r.ContentLength, r.TransferEncoding, string(body)))
		seen = append(seen, h)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "sorry")
	}), Headers: map[string]string{"X-A": "b"}})
	for _, body := range []string{`{"a":1}`, ""} {
		seen = nil
		del := delivery("e")
		del.Payload.Body = []byte(body)
		first := d.Deliver(t.Context(), del)
		d.now = func() time.Time { return time.Unix(1, 0) }
		p := d.plain
		d.plain = nil
		second := d.Deliver(t.Context(), del)
		d.plain = p
		for _, h := range seen {
			h.Del("Webhook-Timestamp")
		}
		if first == nil || second == nil || first.Error() != second.Error() || destinationtest.Verdict(first) != destinationtest.Verdict(second) {
			t.Errorf("%v and %v", first, second)
		}
		if len(seen) != 2 || fmt.Sprint(seen[0]) != fmt.Sprint(seen[1]) {
			t.Errorf("%v", seen)
		}
	}
}
