package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"code.dny.dev/ssrf"

	"eventserver/destinations"
	"eventserver/destinations/cause"
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
	wait, asked := retryAfter(resp.Header.Get("Retry-After"), d.now(), d.cfg.MaxRetryAfter)
	later := asked && status == http.StatusRequestEntityTooLarge && len(d.cfg.PermanentStatus) == 0
	if d.permanent(status) && !later {
		return destinations.Permanent(err)
	}
	if wait == 0 {
		wait = min(unasked(status), d.cfg.MaxRetryAfter)
	}
	if wait > 0 {
		err = destinations.RetryAfter(err, wait)
	}
	if unavailable(status) {
		err = destinations.Unavailable(err)
	}
	return err
}

// unavailable reports whether a status says that the receiver, not the event, is
// the reason. 520 to 530 are those of content delivery networks whose origin
// does not answer them.
func unavailable(status int) bool {
	switch status {
	case http.StatusGone, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return status >= 520 && status <= 530
}

// Waits after answers that ask for none; 0: the router's backoff.
const (
	// goneWait follows 410. The receiver wants nothing more, which no event can
	// help: none is poisoned for it, and a rare probe finds out when it does.
	goneWait = 10 * time.Minute
	// throttledWait follows 429, whose sender counts what comes: the first
	// backoffs, which may be no wait at all, would be more of it.
	throttledWait = time.Second
)

func unasked(status int) time.Duration {
	switch status {
	case http.StatusGone:
		return goneWait
	case http.StatusTooManyRequests:
		return throttledWait
	}
	return 0
}

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

// failed is the verdict on a request that had no answer.
func (d *Destination) failed(ctx context.Context, connected bool, err error, values func() []string) error {
	why, known := cause.Words(bare(err))
	said := errors.New(d.redactor.TextOf(why, false, values))
	switch {
	case blocked(err):
		return destinations.Unavailable(fmt.Errorf("webhook address is not public (%w); set allow_private: true to send there", said))
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("webhook attempt was cancelled: %w", ctx.Err())
	case ctx.Err() != nil && connected:
		return destinations.Late("webhook timeout: no answer before the attempt's deadline")
	case ctx.Err() != nil:
		// Nothing was sent: no event can be the reason.
		return destinations.Unavailable(destinations.Late("webhook timeout: no connection before the attempt's deadline"))
	case !connected:
		return destinations.Unavailable(fmt.Errorf("webhook connection failed: %w", said))
	case errors.As(err, new(tls.AlertError)):
		// TLS 1.3 tells a client that its handshake failed only on the first read.
		return destinations.Unavailable(fmt.Errorf("webhook connection failed: %w", said))
	default:
		// The transport's error quotes an answer that is no HTTP.
		words := "webhook connection broke"
		if known {
			words += ": " + said.Error()
		}
		return destinations.Logged(fmt.Errorf("webhook connection broke: %w", said), words)
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
