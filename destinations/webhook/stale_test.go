package webhook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eventserver/destinations"
	"eventserver/destinations/destinationtest"
)

// got is a request that a raw receiver read: the number of its connection, its
// number on it, and what it said.
type got struct {
	conn, nth      int
	delivery, body string
}

// raw is a receiver below HTTP. answer sees each request and returns whether
// the connection goes on; it answers, or not, as it likes.
type raw struct {
	url string
	mu  sync.Mutex
	all []got
}

func (r *raw) add(g got) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, g)
}

func (r *raw) requests() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.all...)
}

// accepting runs serve for each connection of a listener, and ends with the test.
func accepting(t *testing.T, l net.Listener, serve func(n int, conn net.Conn)) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(n, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

func listening(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func rawReceiver(t *testing.T, answer func(conn net.Conn, g got) bool) *raw {
	t.Helper()
	l := listening(t)
	r := &raw{url: "http://" + l.Addr().String()}
	accepting(t, l, func(n int, conn net.Conn) {
		br := bufio.NewReader(conn)
		for nth := 1; ; nth++ {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			g := got{n, nth, req.Header.Get("Delivery-Id"), string(body)}
			r.add(g)
			if !answer(conn, g) {
				return
			}
		}
	})
	return r
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// A receiver that closed an idle connection without a word, as a restart, an
// idle timeout and a load balancer do, made each event of a quiet hour fail once.
func TestStaleConnectionBlamesNobody(t *testing.T) {
	// Each ends the second request of a connection.
	for name, end := range map[string]func(net.Conn){
		"FIN":                    func(conn net.Conn) { _ = conn.Close() },
		"RST":                    reset,
		"FIN after a half close": func(conn net.Conn) { _ = conn.(*net.TCPConn).CloseWrite(); _ = conn.Close() },
	} {
		for kind, deliver := range map[string]func(*Destination, context.Context, destinations.Delivery) error{
			"one": (*Destination).Deliver,
			"batch": func(d *Destination, ctx context.Context, del destinations.Delivery) error {
				return d.DeliverBatch(ctx, []destinations.Delivery{del, delivery("other")})
			},
		} {
			for size, body := range map[string]string{"small": `{"a":1}`, "large": `"` + strings.Repeat("x", 1<<20) + `"`} {
				t.Run(name+" "+kind+" "+size, func(t *testing.T) {
					r := rawReceiver(t, func(conn net.Conn, g got) bool {
						if g.nth == 2 {
							end(conn)
							return false
						}
						_, err := io.WriteString(conn, okAnswer)
						return err == nil
					})
					d := open(t, Config{URL: r.url})
					for i := range 6 {
						del := delivery(fmt.Sprint("e", i))
						del.Payload.Body = []byte(body)
						if err := deliver(d, t.Context(), del); err != nil {
							t.Fatalf("event %d: %v", i, err)
						}
					}
					// What was repeated is the same, on a connection of its own.
					all := r.requests()
					for i, g := range all {
						if g.nth == 2 && (i+1 == len(all) || all[i+1].conn == g.conn || all[i+1].nth != 1 || all[i+1].delivery != g.delivery || all[i+1].body != g.body) {
							t.Errorf("request %d was lost with its connection, and not sent again at once", i)
						}
					}
				})
			}
		}
	}
}

// A connection that the receiver closed while it was idle, before anything was
// written on it.
func TestIdleTimeoutOfTheReceiverBlamesNobody(t *testing.T) {
	closed := make(chan struct{}, 1)
	r := rawReceiver(t, func(conn net.Conn, _ got) bool {
		_, _ = io.WriteString(conn, okAnswer)
		reset(conn)
		closed <- struct{}{}
		return false
	})
	d := open(t, Config{URL: r.url})
	for i := range 20 {
		if err := d.Deliver(t.Context(), delivery(fmt.Sprint("e", i))); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		<-closed
	}
}

// A receiver that hangs up on the event itself does so on a fresh connection
// too: that is a failure, after one repetition and no more.
func TestResetOnAFreshConnectionCounts(t *testing.T) {
	for name, c := range map[string]struct {
		warm     bool
		requests int
	}{"first of all": {false, 1}, "after others": {true, 3}} {
		t.Run(name, func(t *testing.T) {
			r := rawReceiver(t, func(conn net.Conn, g got) bool {
				if g.delivery != "warm:shop" {
					reset(conn)
					return false
				}
				_, err := io.WriteString(conn, okAnswer)
				return err == nil
			})
			d := open(t, Config{URL: r.url})
			if c.warm {
				if err := d.Deliver(t.Context(), delivery("warm")); err != nil {
					t.Fatal(err)
				}
			}
			err := d.Deliver(t.Context(), delivery("e"))
			if got := destinationtest.Verdict(err); got != "retry" {
				t.Errorf("verdict %q: %v", got, err)
			}
			if n := len(r.requests()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

// Once the receiver has begun to answer it has judged the event: nothing is
// sent again.
func TestBegunAnswerIsNotRepeated(t *testing.T) {
	r := rawReceiver(t, func(conn net.Conn, g got) bool {
		if g.nth == 2 {
			_, _ = io.WriteString(conn, "HTTP/1.1 20")
			_ = conn.Close()
			return false
		}
		_, err := io.WriteString(conn, okAnswer)
		return err == nil
	})
	d := open(t, Config{URL: r.url})
	if err := d.Deliver(t.Context(), delivery("warm")); err != nil {
		t.Fatal(err)
	}
	if got := destinationtest.Verdict(d.Deliver(t.Context(), delivery("e"))); got != "retry" || len(r.requests()) != 2 {
		t.Errorf("%s after %d requests", got, len(r.requests()))
	}
}

// An attempt that ran out of time on a reused connection is late, not stale.
func TestLateAnswerIsNotRepeated(t *testing.T) {
	r := rawReceiver(t, func(conn net.Conn, g got) bool {
		if g.nth == 2 {
			_, _ = conn.Read(make([]byte, 1)) // until the client leaves
			return false
		}
		_, err := io.WriteString(conn, okAnswer)
		return err == nil
	})
	d := open(t, Config{URL: r.url})
	if err := d.Deliver(t.Context(), delivery("warm")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got := destinationtest.Verdict(d.Deliver(ctx, delivery("e"))); got != "retry" || len(r.requests()) != 2 {
		t.Errorf("%s after %d requests", got, len(r.requests()))
	}
}

// h2Conn is the receiver's side of one HTTP/2 connection.
type h2Conn struct {
	*http2.Framer
	conn net.Conn
}

func (c *h2Conn) ok(stream uint32) {
	var b bytes.Buffer
	_ = hpack.NewEncoder(&b).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: true})
}

// h2Receiver calls answer for each whole request: nth counts those of a connection.
func h2Receiver(t *testing.T, answer func(c *h2Conn, n, nth int, stream uint32)) (url, ca string, requests *atomic.Int32) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil) // for its certificate
	s.StartTLS()
	s.Close()
	requests = new(atomic.Int32)
	l := listening(t)
	accepting(t, l, func(n int, plain net.Conn) {
		conn := tls.Server(plain, &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{"h2"}})
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(conn, preface); err != nil {
			return
		}
		c := &h2Conn{http2.NewFramer(conn, conn), plain}
		_ = c.WriteSettings()
		for nth := 1; ; {
			f, err := c.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					_ = c.WriteSettingsAck()
				}
			case *http2.DataFrame:
				if f.StreamEnded() {
					requests.Add(1)
					answer(c, n, nth, f.StreamID)
					nth++
				}
			}
		}
	})
	return "https://" + l.Addr().String(), writeCA(t, s), requests
}

// The same over HTTP/2, where a stream ends alone or with its connection.
func TestStaleHTTP2BlamesNobody(t *testing.T) {
	for name, end := range map[string]func(c *h2Conn, stream uint32){
		"closed":           func(c *h2Conn, _ uint32) { _ = c.conn.Close() },
		"reset":            func(c *h2Conn, _ uint32) { reset(c.conn) },
		"GOAWAY before it": func(c *h2Conn, stream uint32) { _ = c.WriteGoAway(stream-2, http2.ErrCodeNo, nil); _ = c.conn.Close() },
		"GOAWAY with it":   func(c *h2Conn, stream uint32) { _ = c.WriteGoAway(stream, http2.ErrCodeNo, nil); _ = c.conn.Close() },
		"GOAWAY, error": func(c *h2Conn, stream uint32) {
			_ = c.WriteGoAway(stream, http2.ErrCodeInternal, nil)
			_ = c.conn.Close()
		},
		"stream refused":                       func(c *h2Conn, stream uint32) { _ = c.WriteRSTStream(stream, http2.ErrCodeRefusedStream) },
		"stream cancelled":                     func(c *h2Conn, stream uint32) { _ = c.WriteRSTStream(stream, http2.ErrCodeCancel) },
		"stream failed":                        func(c *h2Conn, stream uint32) { _ = c.WriteRSTStream(stream, http2.ErrCodeInternal) },
		"no answer to a stream, nor to a ping": func(*h2Conn, uint32) {},
	} {
		t.Run(name, func(t *testing.T) {
			url, ca, requests := h2Receiver(t, func(c *h2Conn, _, nth int, stream uint32) {
				if nth > 1 {
					end(c, stream)
					return
				}
				c.ok(stream)
			})
			d := open(t, Config{URL: url, CAFile: ca})
			d.transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 20 * time.Millisecond, PingTimeout: 20 * time.Millisecond}
			ctx, cancel := context.WithTimeout(t.Context(), destinationtest.Soon)
			defer cancel()
			for i := range 4 {
				if err := d.Deliver(ctx, delivery(fmt.Sprint("e", i))); err != nil {
					t.Fatalf("event %d: %v", i, err)
				}
			}
			if n := requests.Load(); n < 5 || n > 12 { // each of the last three is sent two or three times
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A receiver that resets every stream is at fault, on whatever connection.
func TestHTTP2ReceiverThatAlwaysResetsCounts(t *testing.T) {
	for _, code := range []http2.ErrCode{http2.ErrCodeRefusedStream, http2.ErrCodeInternal} {
		url, ca, requests := h2Receiver(t, func(c *h2Conn, n, nth int, stream uint32) {
			if n == 1 && nth == 1 {
				c.ok(stream)
				return
			}
			_ = c.WriteRSTStream(stream, code)
		})
		d := open(t, Config{URL: url, CAFile: ca})
		if err := d.Deliver(t.Context(), delivery("warm")); err != nil {
			t.Fatal(err)
		}
		if got := destinationtest.Verdict(d.Deliver(t.Context(), delivery("e"))); got != "retry" {
			t.Errorf("%s: %s", code, got)
		}
		if n := requests.Load(); n > 5 {
			t.Errorf("%s: %d requests", code, n)
		}
	}
}
