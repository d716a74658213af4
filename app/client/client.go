package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"eventserver/app/terminal"
	"eventserver/destinations/cause"
	"eventserver/router/plural"
)

// Config configures a Client.
type Config struct {
	URL       string            // of the server, without a path; default http://127.0.0.1:8080
	APIKey    string            // one of the server's http.keys; default: none is sent
	Retries   int               // times that a request answered 429 or 503 is sent again; default 10, below 0: never
	Transport http.RoundTripper // default: a copy of http.DefaultTransport
	UserAgent string            // default eventserver-client
	Logger    *slog.Logger      // of repeats; default: none
}

const (
	defaultURL     = "http://127.0.0.1:8080"
	defaultRetries = 10
	// timeout is longer than a server takes for a request by default, so that the server
	// is the one to say that it was too long.
	timeout = time.Minute
	// answerMost is room for ids of 256 bytes, for more events than fit into a request.
	answerMost = 64 << 20
	bodyShown  = 2000 // bytes of an answer in an error
)

// Client posts events to one server. It is safe for parallel use.
type Client struct {
	cfg  Config
	url  string // of the events
	http *http.Client
}

// New makes a Client. The error says what is wrong with the configuration; no password is in it.
func New(cfg Config) (*Client, error) {
	if cfg.URL == "" {
		cfg.URL = defaultURL
	}
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil: // its text repeats the URL, and with it a password
		return nil, errors.New("client: URL is not a URL; write one such as " + defaultURL)
	case u.User != nil:
		return nil, errors.New("client: URL holds credentials, which errors would show; set APIKey")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, fmt.Errorf("client: URL %q is not one such as %s", cfg.URL, defaultURL)
	}
	switch {
	case cfg.Retries == 0:
		cfg.Retries = defaultRetries
	case cfg.Retries < 0:
		cfg.Retries = 0
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "eventserver-client"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, url: u.JoinPath("/v1/events").String(), http: &http.Client{
		Transport: cfg.Transport, Timeout: timeout,
		// A redirect would turn the POST into a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// URL is where the client posts to.
func (c *Client) URL() string { return c.url }

// Post stores events, all of them or none, in one request. It returns their ids in order
// when they are durable. The error is a *RefusedError, a *NoAnswerError, that of ctx while
// it waited to send again, or that of encoding an event.
//
// A request that is answered 429 or 503 is sent again, after Retry-After or after a time that
// doubles. It may have been stored: then its events are delivered twice, with the same ids.
// A request that is under way is not cut off when ctx ends.
func (c *Client) Post(ctx context.Context, events ...Event) (ids []string, err error) {
	bodies := make([]json.RawMessage, len(events))
	for i, e := range events {
		if bodies[i], _, err = e.encode(); err != nil {
			return nil, err
		}
	}
	return c.PostJSON(ctx, bodies...)
}

// PostJSON is Post for events that are JSON objects already. One without an id gets
// another one from the server each time that it is sent.
func (c *Client) PostJSON(ctx context.Context, events ...json.RawMessage) (ids []string, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	var body bytes.Buffer
	body.WriteByte('[')
	for i, e := range events {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(e)
	}
	body.WriteByte(']')
	for try := 1; ; try++ {
		a, err := c.post(ctx, body.Bytes())
		switch {
		case err != nil:
			return nil, err
		case a.status == http.StatusAccepted:
			return a.ids(c.url, len(events))
		case a.status != http.StatusTooManyRequests && a.status != http.StatusServiceUnavailable || try > c.cfg.Retries:
			return nil, a.refusal(c.url, len(events), try)
		}
		wait := a.wait(try-1, time.Now())
		c.cfg.Logger.Warn("the server is busy; sending again", slog.Int("status", a.status), slog.Duration("wait", wait),
			slog.Int("try", try), slog.Int("of", c.cfg.Retries))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w while waiting for the server, which answered %d", ctx.Err(), a.status)
		}
	}
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// post makes one request. It is not cut off when ctx ends: what became of it would not be
// known.
func (c *Client) post(ctx context.Context, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	if c.cfg.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.APIKey)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &NoAnswerError{URL: c.url, Refused: errors.Is(err, syscall.ECONNREFUSED), Err: cause.Of(err)}
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil {
		return nil, &NoAnswerError{URL: c.url, Begun: true, Err: cause.Of(err)}
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: text}, nil
}

func (a *answer) ids(url string, n int) ([]string, error) {
	var stored struct {
		IDs []string `json:"ids"`
	}
	if err := json.Unmarshal(a.body, &stored); err != nil || len(stored.IDs) != n {
		return nil, fmt.Errorf("%s answered 202 without the ids of %s: is it eventserver? %s", url, plural.Count(n, "event"), a.text())
	}
	return stored.IDs, nil
}

// refusal names the event at fault, as far as the problem document does.
func (a *answer) refusal(url string, events, tries int) *RefusedError {
	var problem struct {
		Index *int `json:"index"`
	}
	e := &RefusedError{URL: url, Status: a.status, Index: -1, Body: a.text(), Tries: tries}
	if json.Unmarshal(a.body, &problem) == nil && problem.Index != nil && *problem.Index >= 0 && *problem.Index < events {
		e.Index = *problem.Index
	}
	return e
}

// text is the body of an answer, for an error.
func (a *answer) text() string {
	s := strings.TrimSpace(strings.ToValidUTF8(string(a.body), "?"))
	return terminal.Printable(terminal.Cut(bodyShown, s, len(a.body)))
}

// wait is how long to wait after a busy answer: as long as it says, or else longer each time.
func (a *answer) wait(again int, now time.Time) time.Duration {
	const longest, patience = time.Hour, 30 * time.Second
	after := a.header.Get("Retry-After")
	if n, err := strconv.ParseUint(after, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, longest)
	}
	if t, err := http.ParseTime(after); err == nil {
		return min(max(t.Sub(now), 0), longest)
	}
	return min(time.Second<<min(again, 5), patience)
}
