package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"eventserver/destinations"
	"eventserver/destinations/redact"
)

// ErrClosed is in the error of a Deliver after Close.
var ErrClosed = errors.New("webhook is closed")

// Destination posts deliveries to one URL. It is safe for many goroutines.
type Destination struct {
	id        string
	cfg       Config
	template  *http.Request // of all requests: the URL is parsed once
	headers   fields        // of the configuration
	signers   []*standardwebhooks.Webhook
	transport *http.Transport
	fresh     *http.Transport // opens a connection for each request, for those that a reused one lost
	plain     *plain          // for small requests without TLS; nil: they take transport
	redactor  *redact.Redactor
	now       func() time.Time
	closed    atomic.Bool
}

// New makes a destination from cfg, of which it keeps a copy. It reads ca_file
// and opens no connection.
func New(id string, cfg Config) (*Destination, error) {
	if id == "" {
		return nil, errors.New("id: is missing")
	}
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	template, err := http.NewRequestWithContext(context.Background(), cfg.Method, cfg.URL, http.NoBody)
	if err != nil {
		return nil, errors.New("url: is not a URL") // without err, which repeats it
	}
	signers, err := newSigners(cfg.Secret, cfg.SecretNext)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	transport, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	fresh := transport.Clone()
	fresh.DisableKeepAlives = true
	d := &Destination{
		id: id, cfg: cfg, template: template, signers: signers, transport: transport, fresh: fresh,
		headers: configured(cfg.Headers), redactor: newRedactor(cfg, template.URL), now: time.Now,
	}
	if template.URL.Scheme == "http" && cfg.Proxy == "" {
		if d.plain, err = newPlain(template, transport); err != nil {
			return nil, errors.New("url: is not one that a request can be sent to") // without err, which may repeat it
		}
	}
	return d, nil
}

func newTLSConfig() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }

// newTransport is of this destination alone: what one receiver does to its
// connections touches no other. It has no proxy from the environment, no
// decompression (a small answer could become a huge one) and no time limit of
// a whole request: the attempt's context has that.
func newTransport(cfg Config) (*http.Transport, error) {
	dialer := &dialer{places: everybody()}
	// A dial outlives the context of the attempt that began it, since
	// another may use the connection, so it needs an end of its own.
	dialer.Timeout = 10 * time.Second
	if !cfg.AllowPrivate {
		// Control sees the address that is dialled, after DNS and at every
		// connection: a name that changes its answer cannot get around it.
		dialer.Control = newGuard().Safe
	}
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        newTLSConfig(),
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           cfg.MaxIdleConns,
		MaxIdleConnsPerHost:    cfg.MaxIdleConns,
		IdleConnTimeout:        30 * time.Second, // below the 60 s and more of most load balancers, which else close first
		MaxResponseHeaderBytes: headerMost,
		DisableCompression:     true,
		// A connection that has gone silent would take every attempt with it until
		// TCP gives up, which is a quarter of an hour. Together the two are less
		// than the default timeout of an attempt.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 4 * time.Second},
	}
	if cfg.Proxy != "" {
		u, err := url.Parse(cfg.Proxy)
		if err != nil {
			return nil, errors.New("proxy: is not a URL")
		}
		t.Proxy = http.ProxyURL(u)
	}
	if cfg.CAFile != "" {
		if err := (destinations.TLSFiles{CA: cfg.CAFile}).Load(t.TLSClientConfig); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// ID is the destination's name.
func (d *Destination) ID() string { return d.id }

// Transform passes the event's data on as it is.
func (d *Destination) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

// Deliver sends one request. The error is as the package comment tells, and
// holds the beginning of the receiver's answer but no secret and no URL.
func (d *Destination) Deliver(ctx context.Context, del destinations.Delivery) error {
	header, err := d.header(del)
	if err != nil {
		return destinations.Permanent(fmt.Errorf("webhook: %w", err))
	}
	return d.send(ctx, header, del.Payload.Body)
}

// Close drops idle connections. Requests under way end by themselves.
func (d *Destination) Close() error {
	d.closed.Store(true)
	d.transport.CloseIdleConnections()
	if d.plain != nil {
		d.plain.pool.close()
	}
	return nil
}
