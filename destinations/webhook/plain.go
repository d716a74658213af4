package webhook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"

	"golang.org/x/net/idna"
)

// plain makes requests over HTTP/1.1 without TLS, each in its caller's goroutine.
// net/http's transport has two more goroutines for each connection, and handing a
// request from one to the next is half of its CPU. The request and the answer are
// written and read by net/http all the same. It implements http.RoundTripper as far
// as this package needs it: nothing is repeated, and a body is small (plainMost).
type plain struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	address string // host:port
	pool    pool
}

// plainMost is the most of a body that plain sends, because it reads no answer
// before it has written all. So much fits into the buffers of any connection, so
// that a receiver that answers early and reads nothing more holds up nobody.
const plainMost = 16 << 10

const (
	headerMost  = 64 << 10 // bytes of an answer's status line and headers
	informative = 5        // most answers of 1xx before the one that counts
)

// plainAddress is what net/http would dial for u.
func plainAddress(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(host, port)
}

// RoundTrip implements http.RoundTripper.
func (p *plain) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	trace := httptrace.ContextClientTrace(ctx)
	trace.GetConn(p.address)
	link := p.pool.take()
	reused := link != nil
	if link == nil {
		conn, err := p.dial(ctx, "tcp", p.address)
		if err != nil {
			return nil, err
		}
		link = newLink(conn)
	}
	trace.GotConn(httptrace.GotConnInfo{Reused: reused})
	stop := context.AfterFunc(ctx, link.interrupt)
	resp, err := link.exchange(req, trace.GotFirstResponseByte)
	if err != nil {
		stop()
		link.close()
		return nil, err
	}
	done := func(whole bool) {
		if stop() && whole && !resp.Close && resp.StatusCode != http.StatusSwitchingProtocols && link.br.Buffered() == 0 {
			p.pool.put(link)
		} else {
			link.close()
		}
	}
	if resp.Body == http.NoBody {
		done(true)
	} else {
		resp.Body = &answerBody{Reader: resp.Body, done: done}
	}
	return resp, nil
}

// link is a connection.
type link struct {
	net.Conn
	in *io.LimitedReader // of Conn
	br *bufio.Reader     // of in
	bw *bufio.Writer     // of Conn
}

func newLink(conn net.Conn) *link {
	in := &io.LimitedReader{R: conn, N: math.MaxInt64}
	return &link{Conn: conn, in: in, br: bufio.NewReader(in), bw: bufio.NewWriter(conn)}
}

func (l *link) close() { _ = l.Close() }

// interrupt ends what is read and written. The connection is not used again.
func (l *link) interrupt() { _ = l.SetDeadline(longAgo) }

// exchange writes the request and reads the head of its answer.
func (l *link) exchange(req *http.Request, answered func()) (*http.Response, error) {
	err := req.Write(l.bw)
	if err == nil {
		err = l.bw.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	l.in.N = headerMost
	defer func() { l.in.N = math.MaxInt64 }()
	if _, err := l.br.Peek(1); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	answered()
	for range informative + 1 {
		resp, err := http.ReadResponse(l.br, req)
		switch {
		case l.in.N == 0 && err != nil:
			return nil, fmt.Errorf("the answer's headers are longer than %d bytes", headerMost)
		case err != nil:
			return nil, fmt.Errorf("read the answer: %w", err)
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, nil
		}
	}
	return nil, errors.New("the receiver sent too many answers of 1xx")
}

// answerBody is the body of an answer, which gives its connection back.
type answerBody struct {
	io.Reader
	whole bool
	done  func(whole bool) // nil: it was called
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.whole = b.whole || errors.Is(err, io.EOF)
	return n, err
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	if b.done != nil {
		b.done(b.whole)
		b.done = nil
	}
	return nil
}
