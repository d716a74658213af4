package send

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

	"eventserver/app/config"
	"eventserver/app/ingest"
	"eventserver/app/terminal"
	"eventserver/app/version"
	"eventserver/destinations"
	"eventserver/destinations/cause"
	"eventserver/router/plural"
)

// poster sends batches to a server.
type poster struct {
	url     string // of the events
	key     string // API key, or ""
	retries int
	client  *http.Client
	log     *slog.Logger
}

// timeout is longer than a server takes for a request by default, so that
// it is the one to say that it was too long.
const timeout = time.Minute

func newPoster(cfg *config.Config, c *Config, log *slog.Logger) (*poster, error) {
	base := c.URL
	if base == "" {
		var err error
		if base, err = serverURL(cfg); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, errors.New("--url: is not a URL; write one such as http://127.0.0.1:8080") // the parser's error repeats it, and with it a password
	case u.User != nil:
		return nil, errors.New("--url: holds credentials, which errors would show; give the API key with --api-key-file")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("--url: %q is not one such as http://127.0.0.1:8080", base)
	case destinations.CheckURLHost(u) != nil:
		return nil, fmt.Errorf("--url: %q %w; write one such as http://127.0.0.1:8080", base, destinations.CheckURLHost(u))
	}
	transport := c.transport
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	return &poster{
		url: u.JoinPath(ingest.PathEvents).String(), key: c.APIKey, retries: c.Retries, log: log,
		client: &http.Client{Transport: transport, Timeout: timeout,
			// A redirect would turn the POST into a GET.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// Close implements sender.
func (p *poster) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

func (p *poster) send(ctx context.Context, events []event) ([]string, error) {
	var body bytes.Buffer
	body.WriteByte('[')
	for i, e := range events {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(e.raw)
	}
	body.WriteByte(']')
	for n := 0; ; n++ {
		a, err := p.post(ctx, body.Bytes())
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", lines(events), err)
		case a.status == http.StatusAccepted:
			return a.ids(p.url, len(events))
		case a.status != http.StatusTooManyRequests && a.status != http.StatusServiceUnavailable || n >= p.retries:
			return nil, a.refusal(p.url, events, n)
		}
		wait := a.wait(n, time.Now())
		p.log.Warn("the server is busy; sending again", slog.Int("status", a.status), slog.Duration("wait", wait),
			slog.Int("try", n+1), slog.Int("of", p.retries))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w while waiting for the server, which answered %d", errInterrupted, a.status)
		}
	}
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// post makes one request. It is not cut when ctx ends: what became of it would
// not be known.
func (p *poster) post(ctx context.Context, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", version.Get().Product())
	if p.key != "" {
		req.Header.Set("Authorization", "Bearer "+p.key)
	}
	resp, err := p.client.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("no server answers at %s (%w); start eventserver, or say with --url where it listens", p.url, cause.Of(err))
	}
	if err != nil {
		return nil, fmt.Errorf("%s gave no answer: %w; whether these are stored is not known", p.url, cause.Of(err))
	}
	defer func() { _ = resp.Body.Close() }()
	const most = 64 << 20 // ids of 256 bytes, for more events than fit into a request
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, fmt.Errorf("the answer of %s broke off: %w; whether these are stored is not known", p.url, cause.Of(err))
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
func (a *answer) refusal(url string, events []event, again int) error {
	var problem struct {
		Index *int `json:"index"`
	}
	where := lines(events)
	if json.Unmarshal(a.body, &problem) == nil && problem.Index != nil && *problem.Index >= 0 && *problem.Index < len(events) {
		where = events[*problem.Index].where()
	}
	tries, cure := "", ""
	if again > 0 {
		tries = fmt.Sprintf(" %d times", again+1)
	}
	switch a.status {
	case http.StatusUnauthorized:
		cure = "; give the key with --api-key-file or EVENTSERVER_API_KEY"
	case http.StatusRequestEntityTooLarge:
		cure = "; a smaller --batch may help"
	}
	return fmt.Errorf("%s: %s answered %d %s%s: %s%s", where, url, a.status, http.StatusText(a.status), tries, a.text(), cure)
}

// text is the body of an answer, for an error.
func (a *answer) text() string {
	const most = 2000
	s := strings.TrimSpace(strings.ToValidUTF8(string(a.body), "?"))
	return terminal.Printable(terminal.Cut(most, s, len(a.body)))
}

// wait is how long to wait after a busy answer: as long as it says, or else
// longer each time.
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

// lines names the events of a request.
func lines(events []event) string {
	first, last := events[0].where(), events[len(events)-1].where()
	if first == last {
		return first
	}
	return first + " to " + last
}
