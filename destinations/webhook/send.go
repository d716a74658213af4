package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	"eventserver/destinations"
)

// exchange is what is known of one request on the wire.
type exchange struct {
	connected atomic.Bool // it has a connection at the moment
	reused    atomic.Bool // that connection had served another request before
	answered  atomic.Bool // the first byte of an answer came
}

// trace follows the exchange. The transport may take several connections in
// turn: the last one counts.
func (x *exchange) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { x.connected.Store(false) },
		GotConn: func(info httptrace.GotConnInfo) {
			x.reused.Store(info.Reused)
			x.connected.Store(true)
		},
		GotFirstResponseByte: func() { x.answered.Store(true) },
	})
}

// stale reports whether a failed exchange says nothing about the receiver: a
// connection that served before and gave no byte of an answer may have been
// closed by an idle timeout, a restart or a load balancer.
func (x *exchange) stale(ctx context.Context) bool {
	return x.connected.Load() && x.reused.Load() && !x.answered.Load() && ctx.Err() == nil
}

// send makes one attempt and judges its answer. An attempt has a second request
// when the first one met a stale connection; its own connection is new, so what
// fails there is the receiver's doing.
func (d *Destination) send(ctx context.Context, header fields, body []byte) error {
	if d.closed.Load() {
		return destinations.Unavailable(ErrClosed)
	}
	resp, x, err := d.exchange(ctx, header, body)
	if err != nil && x.stale(ctx) {
		resp, x, err = d.exchangeBy(ctx, d.fresh, header, body)
	}
	if err != nil {
		return d.failed(ctx, x.connected.Load(), err, func() []string { return valuesSent(header, body) })
	}
	defer func() { _ = resp.Body.Close() }()
	return d.verdict(resp, d.read(resp, header, body))
}

// exchange makes one request.
func (d *Destination) exchange(ctx context.Context, header fields, body []byte) (*http.Response, *exchange, error) {
	if d.plain == nil || len(body) > plainMost {
		return d.exchangeBy(ctx, d.transport, header, body)
	}
	x := &exchange{}
	resp, err := d.plain.do(ctx, x, header, body)
	return resp, x, err
}

// exchangeBy makes one request by a transport and not by a Client: no redirect, no
// cookie, and no url.Error with the query string in it.
func (d *Destination) exchangeBy(ctx context.Context, via *http.Transport, header fields, body []byte) (*http.Response, *exchange, error) {
	x := &exchange{}
	resp, err := via.RoundTrip(d.request(x.trace(ctx), header, body))
	return resp, x, err
}

// errReplayed ends what the transport would try again by itself.
var errReplayed = errors.New("the connection took no request, twice")

// request is what http.NewRequest would make, but for its GetBody: the transport
// repeats by itself what surely was not processed (nothing was written, GOAWAY,
// REFUSED_STREAM), for seconds and on the same connection. One repetition is
// enough to tell; the next is on a fresh connection.
func (d *Destination) request(ctx context.Context, header fields, body []byte) *http.Request {
	req := d.template.WithContext(ctx)
	req.Header = header.http()
	if len(body) > 0 { // of the template there is none
		var replayed atomic.Bool
		reader := func() io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
		req.Body, req.ContentLength = reader(), int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) {
			if replayed.Swap(true) {
				return nil, errReplayed
			}
			return reader(), nil
		}
	}
	return req
}

// read takes the answer's beginning for the error text, and as much as is
// allowed, so that the connection can be used again. Whatever happens here,
// the status has already said what the receiver did.
func (d *Destination) read(resp *http.Response, header fields, sent []byte) string {
	if resp.StatusCode < 200 {
		return "" // 101: the body is the connection itself, and reading it would not end with the context
	}
	// One more than allowed: of an answer of just that length, the end too has
	// to be read before the transport reuses the connection.
	body := io.LimitReader(resp.Body, int64(d.cfg.MaxResponseBytes)+1)
	if resp.StatusCode < 300 {
		_, _ = io.Copy(io.Discard, body)
		return ""
	}
	var buf bytes.Buffer
	_, err := io.Copy(&buf, body)
	if buf.Len() == 0 {
		return ""
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return "[withheld: it is encoded, and none was asked for]" // what it repeats cannot be found in it
	}
	cut := err != nil || buf.Len() > d.cfg.MaxResponseBytes
	return snippet(d.redactor.TextOf(buf.String(), cut, func() []string { return valuesSent(header, sent) }))
}
