package send

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"eventserver/app/client"
	"eventserver/app/config"
	"eventserver/app/version"
	"eventserver/destinations"
)

// poster sends batches to a server.
type poster struct{ *client.Client }

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
	retries := c.Retries
	if retries == 0 {
		retries = -1 // none, and not the default
	}
	to, err := client.New(client.Config{URL: base, APIKey: c.APIKey, Retries: retries, Transport: c.transport, UserAgent: version.Get().Product(), Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	return &poster{to}, nil
}

// Close implements sender.
func (p *poster) Close() error {
	p.Client.Close()
	return nil
}

func (p *poster) send(ctx context.Context, events []event) ([]string, error) {
	bodies := make([]json.RawMessage, len(events))
	for i, e := range events {
		bodies[i] = e.raw
	}
	ids, err := p.PostJSON(ctx, bodies...)
	var refused *client.RefusedError
	var silent *client.NoAnswerError
	switch {
	case err == nil:
		return ids, nil
	case errors.As(err, &refused):
		return nil, refusal(refused, events)
	case errors.As(err, &silent) && silent.Refused:
		return nil, fmt.Errorf("%s: %w; start eventserver, or say with --url where it listens", lines(events), err)
	case errors.As(err, &silent):
		return nil, fmt.Errorf("%s: %w", lines(events), err)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil, fmt.Errorf("%w%s", errInterrupted, strings.TrimPrefix(err.Error(), ctx.Err().Error()))
	}
	return nil, err
}

// refusal names the event at fault, and the flag that may help.
func refusal(r *client.RefusedError, events []event) error {
	where, cure := lines(events), ""
	if r.Index >= 0 {
		where = events[r.Index].where()
	}
	switch r.Status {
	case http.StatusUnauthorized:
		cure = "; give the key with --api-key-file or EVENTSERVER_API_KEY"
	case http.StatusRequestEntityTooLarge:
		cure = "; a smaller --batch may help"
	}
	return fmt.Errorf("%s: %w%s", where, r, cure)
}

// lines names the events of a request.
func lines(events []event) string {
	first, last := events[0].where(), events[len(events)-1].where()
	if first == last {
		return first
	}
	return first + " to " + last
}
