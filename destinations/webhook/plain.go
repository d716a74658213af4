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
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// plain makes requests over HTTP/1.1 without TLS, each in its caller's goroutine.
// net/http's transport has two more goroutines for each connection, and handing a
// request from one to the next is half of its CPU. The request is written here: to
// make an http.Request first takes as long as all else but the system calls. The
// answer is read by net/http. Nothing is repeated, and a body is small (plainMost).
type plain struct {
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	address  string // host:port
	head     string // the lines that every request begins with
	template *http.Request
	pool     pool
}

// newPlain makes the requests of template, which has no body and no headers.
func newPlain(template *http.Request, t *http.Transport) (*plain, error) {
	head, err := plainHead(template)
	if err != nil {
		return nil, err
	}
	return &plain{
		dial: t.DialContext, address: plainAddress(template.URL), head: head, template: template,
		pool: pool{most: t.MaxIdleConns, idle: t.IdleConnTimeout},
	}, nil
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

// plainHead is the request line and the Host header, as net/http writes them.
func plainHead(template *http.Request) (string, error) {
	var whole strings.Builder
	if err := template.Write(&whole); err != nil {
		return "", err
	}
	lines := strings.SplitAfterN(whole.String(), "\r\n", 3)
	return lines[0] + lines[1], nil
}

// do makes one request and notes in x how far it came.
func (p *plain) do(ctx context.Context, x *exchange, header fields, body []byte) (*http.Response, error) {
	link := p.pool.take()
	x.reused.Store(link != nil)
	if link == nil {
		conn, err := p.dial(ctx, "tcp", p.address)
		if err != nil {
			return nil, err
		}
		link = newLink(conn)
	}
	x.connected.Store(true)
	stop := context.AfterFunc(ctx, link.interrupt)
	resp, err := link.exchange(p, x, header, body)
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
	in  *io.LimitedReader // of Conn
	br  *bufio.Reader     // of in
	out []byte            // the last request, for its memory
}

func newLink(conn net.Conn) *link {
	in := &io.LimitedReader{R: conn, N: math.MaxInt64}
	return &link{Conn: conn, in: in, br: bufio.NewReader(in)}
}

func (l *link) close() { _ = l.Close() }

// interrupt ends what is read and written. The connection is not used again.
func (l *link) interrupt() { _ = l.SetDeadline(longAgo) }

// exchange writes the request and reads the head of its answer.
func (l *link) exchange(p *plain, x *exchange, header fields, body []byte) (*http.Response, error) {
	l.out = appendRequest(l.out[:0], p.head, header, body)
	if _, err := l.Write(l.out); err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	l.in.N = headerMost
	defer func() { l.in.N = math.MaxInt64 }()
	if _, err := l.br.Peek(1); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	x.answered.Store(true)
	for range informative + 1 {
		resp, err := http.ReadResponse(l.br, p.template)
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

// appendRequest writes a request behind out. No name and no value has a line break:
// New checks the operator's, and Destination.header the event's.
func appendRequest(out []byte, head string, header fields, body []byte) []byte {
	out = append(out, head...)
	for _, f := range header {
		out = append(append(out, f.name...), ": "...)
		out = append(append(out, f.value...), "\r\n"...)
	}
	out = append(out, "Content-Length: "...)
	out = append(strconv.AppendInt(out, int64(len(body)), 10), "\r\n\r\n"...)
	return append(out, body...)
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
