package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"

	"eventserver/destinations"
)

// verdict turns an answer into what the router acts on.
func (d *Destination) verdict(resp *http.Response, snippet string) error {
	status := resp.StatusCode
	if status >= 200 && status < 300 {
		return nil
	}
	text := fmt.Sprintf("webhook answered %d", status)
	if status == http.StatusGone && !d.permanent(status) {
		text += " and asks for no more events; the destination pauses until it answers otherwise"
	}
	err := errors.New(text)
	if snippet != "" { // what a receiver says may be the event
		err = destinations.Logged(errors.New(text+": "+snippet), text)
	}
	err = destinations.WithStatus(err, status)
	if d.permanent(status) {
		return destinations.Permanent(err)
	}
	var unasked time.Duration // the wait without a Retry-After; 0: the router's backoff
	switch status {
	case http.StatusGone:
		unasked = goneWait
	case http.StatusTooManyRequests:
		unasked = throttledWait
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return err
	}
	wait, asked := retryAfter(resp.Header.Get("Retry-After"), d.now(), d.cfg.MaxRetryAfter)
	switch {
	case asked:
		err = destinations.RetryAfter(err, wait)
	case unasked > 0:
		err = destinations.RetryAtLeast(err, min(unasked, d.cfg.MaxRetryAfter))
	}
	return destinations.Unavailable(err)
}

// Waits after answers that give no Retry-After.
const (
	// goneWait follows 410. The receiver wants nothing more, which no event can
	// help: none is poisoned for it, and a rare probe finds out when it does.
	goneWait = 10 * time.Minute
	// throttledWait follows 429, whose sender counts what comes: the first
	// backoffs, which may be no wait at all, would be more of it.
	throttledWait = time.Second
)

func (d *Destination) permanent(status int) bool {
	if len(d.cfg.PermanentStatus) > 0 {
		return slices.Contains(d.cfg.PermanentStatus, status)
	}
	switch status {
	case http.StatusRequestTimeout, http.StatusGone, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 300 && status < 500
}

// retryAfter reads seconds or an HTTP date, as a wait from 0 to longest. ok is
// false for what is neither.
func retryAfter(value string, now time.Time, longest time.Duration) (wait time.Duration, ok bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0, false
	}
	secs, err := strconv.ParseInt(value, 10, 64) // at ErrRange it is the nearest number there is
	switch {
	case err == nil || errors.Is(err, strconv.ErrRange):
		wait = longest
		if secs < int64(longest/time.Second)+1 {
			wait = time.Duration(max(secs, 0)) * time.Second
		}
	default:
		at, err := http.ParseTime(value)
		if err != nil {
			return 0, false
		}
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longest), true
}

// failed is the verdict on a request that had no answer.
func (d *Destination) failed(ctx context.Context, connected bool, err error, values ...string) error {
	cause := errors.New(d.redactor.Text(bare(err).Error(), false, values...))
	switch {
	case blocked(err):
		return destinations.Unavailable(fmt.Errorf("webhook address is not public (%w); set allow_private: true to send there", cause))
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("webhook attempt was cancelled: %w", ctx.Err())
	case ctx.Err() != nil && connected:
		return fmt.Errorf("webhook timeout: no answer before the attempt's deadline: %w", ctx.Err())
	case ctx.Err() != nil:
		// Nothing was sent: no event can be the reason.
		return destinations.Unavailable(fmt.Errorf("webhook timeout: no connection before the attempt's deadline: %w", ctx.Err()))
	case !connected:
		return destinations.Unavailable(fmt.Errorf("webhook connection failed: %w", cause))
	case errors.As(err, new(tls.AlertError)):
		// TLS 1.3 tells a client that its handshake failed only on the first read.
		return destinations.Unavailable(fmt.Errorf("webhook connection failed: %w", cause))
	default:
		// The transport's error quotes an answer that is no HTTP.
		words := "webhook connection broke"
		var op *net.OpError
		switch {
		case errors.As(err, &op):
			words += ": " + op.Err.Error()
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			words += ": EOF"
		}
		return destinations.Logged(fmt.Errorf("webhook connection broke: %w", cause), words)
	}
}

func blocked(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort)
}

// bare is err without the URL that net/http puts around it, whose query may
// hold a token.
func bare(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}
