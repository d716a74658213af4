package send

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
	"unicode/utf8"

	"eventserver/app"
	"eventserver/app/config"
	"eventserver/router/plural"
)

// Config says where Run puts events, and what it adds to them.
type Config struct {
	// URL is where the server listens, such as http://127.0.0.1:8080. Default:
	// the configuration's http.addr, on this machine.
	URL    string
	APIKey string // "": none
	// Broker puts the events straight on the cluster, and asks no server.
	Broker bool

	// Type, Key and ID are given to events that have none of their own; ID only
	// to a single one. An event of another type, or with another id, is an error.
	Type, Key, ID string

	Batch   int // most events of one request; default 100
	Retries int // times that a request answered 429 or 503 is sent again

	// Stored gets the ids of the events of each request, in order. An error ends
	// Run. nil: nobody is told.
	Stored func(ids []string) error

	transport http.RoundTripper // of tests
}

// Bounds of one request. A batch waits for more as long as batchWait, so that
// what comes slowly through a pipe is not kept for long.
const (
	defaultBatch  = 100
	maxBatchBytes = 4 << 20 // half of what a server takes by default
	batchWait     = 50 * time.Millisecond
)

// Run reads events from in, one JSON object, an array of them, or any number
// one after the other (NDJSON), and stores them, in order. It returns how many
// are stored: durable, in front of those that are not. The error is nil when all
// are; otherwise it names the line where to go on.
//
// The events' bytes stay as they are, but for members that are put in front.
// When ctx ends, the request under way is waited for. A Read of in that has not
// returned by then goes on behind Run: close in to end it.
//
// A request that is answered 503 is sent again and may have been stored: its
// events are then stored twice. Those with an id of their own have the same id
// both times; an event without one gets another id from the server each time.
func Run(ctx context.Context, cfg *config.Config, o app.Options, c Config, in io.Reader) (stored int, err error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	to, err := c.open(ctx, cfg, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	s := &sending{c: c, to: to, events: make(chan result)}
	done := make(chan struct{})
	defer close(done)
	go s.read(newReader(in, fill{Type: c.Type, Key: c.Key, ID: c.ID}), done)
	return s.run(ctx)
}

func (c *Config) check() error {
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	if c.Batch < 0 || c.Retries < 0 {
		return errors.New("--batch, --retries: write at least 1 for the one, 0 for the other")
	}
	for _, f := range [][2]string{{"type", c.Type}, {"key", c.Key}, {"id", c.ID}} {
		if !utf8.ValidString(f[1]) {
			return fmt.Errorf("--%s: is not UTF-8", f[0])
		}
	}
	return nil
}

// sender stores batches, one at a time.
type sender interface {
	// send stores all events and returns their ids. When it fails some may be
	// stored, and the error says where the fault is.
	send(ctx context.Context, events []event) ([]string, error)
	Close() error
}

func (c *Config) open(ctx context.Context, cfg *config.Config, o app.Options) (sender, error) {
	if !c.Broker {
		if o.Logger == nil {
			o.Logger = slog.New(slog.DiscardHandler)
		}
		return newPoster(cfg, c, o.Logger)
	}
	if c.URL != "" || c.APIKey != "" {
		return nil, errors.New("--broker: asks no server, so leave --url and --api-key-file out")
	}
	if app.InProcess(cfg) {
		return nil, fmt.Errorf("--broker: broker.kind: %s is in the server's own process, where no other program reaches it; leave --broker out, so that events are posted to the server's http.addr, or use broker.kind: kafka", cfg.Broker.Kind)
	}
	s, err := app.OpenStore(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	return &storer{s}, nil
}

// serverURL is where the server of a configuration is reached from its machine.
func serverURL(cfg *config.Config) (string, error) {
	host, port, err := net.SplitHostPort(cfg.HTTP.Addr)
	if err != nil || port == "0" {
		return "", fmt.Errorf("http.addr: %q names no port to send to; give --url", cfg.HTTP.Addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// result is an event that was read, or the error that ended the reading.
type result struct {
	event event
	err   error
}

// sending is one Run under way.
type sending struct {
	c      Config
	to     sender
	events chan result

	held   *event // read, and too large for the last batch
	stored int
}

// read hands out events until there are no more, or until done is closed.
func (s *sending) read(r *reader, done <-chan struct{}) {
	for {
		e, err := r.next()
		select {
		case s.events <- result{event: e, err: err}:
		case <-done:
			return
		}
		if err != nil {
			return
		}
	}
}

func (s *sending) run(ctx context.Context) (int, error) {
	for {
		batch, end := s.gather(ctx)
		if len(batch) > 0 {
			ids, err := s.to.send(ctx, batch)
			if err != nil {
				return s.stored, s.failed(err, batch[0].where())
			}
			s.stored += len(batch)
			if s.c.Stored != nil {
				if err := s.c.Stored(ids); err != nil {
					return s.stored, fmt.Errorf("%w; %s stored", err, storedCount(s.stored))
				}
			}
		}
		switch {
		case end == nil:
		case errors.Is(end, io.EOF):
			return s.stored, nil
		case s.held != nil:
			return s.stored, s.failed(end, s.held.where())
		default:
			return s.stored, s.failed(end, "")
		}
	}
}

// failed says what is stored and where to go on.
func (s *sending) failed(err error, next string) error {
	if next == "" || s.stored == 0 {
		return fmt.Errorf("%w; %s stored", err, storedCount(s.stored))
	}
	return fmt.Errorf("%w; %s stored, all before %s", err, storedCount(s.stored), next)
}

func storedCount(n int) string {
	if n == 0 {
		return "no event is"
	}
	return plural.Count(n, "event is", "events are")
}

// errInterrupted is the end of ctx in the words of the command line.
var errInterrupted = errors.New("interrupted")

// gather returns what one request takes. The error is what follows it: io.EOF,
// a fault of the input or the end of ctx.
func (s *sending) gather(ctx context.Context) (batch []event, end error) {
	size := 0
	if s.held != nil {
		batch, size, s.held = append(batch, *s.held), len(s.held.raw), nil
	}
	var full <-chan time.Time
	wait := func() {
		if len(batch) == 1 {
			full = time.After(batchWait)
		}
	}
	wait()
	for len(batch) < s.c.Batch {
		select { // what is interrupted is not sent
		case <-ctx.Done():
			return nil, s.interrupted(batch)
		default:
		}
		select {
		case <-ctx.Done():
			return nil, s.interrupted(batch)
		case <-full:
			return batch, nil
		case r := <-s.events:
			if r.err != nil {
				return batch, r.err
			}
			if len(batch) > 0 && size+len(r.event.raw) > maxBatchBytes {
				s.held = &r.event
				return batch, nil
			}
			batch, size = append(batch, r.event), size+len(r.event.raw)
			wait()
		}
	}
	return batch, nil
}

func (s *sending) interrupted(batch []event) error {
	if len(batch) > 0 {
		s.held = &batch[0]
	}
	return errInterrupted
}

// storer puts events on the broker, as the server does.
type storer struct{ *app.Store }

func (s *storer) send(ctx context.Context, batch []event) ([]string, error) {
	bodies := make([][]byte, len(batch))
	for i, e := range batch {
		bodies[i] = e.raw
	}
	ids, err := s.PutJSON(ctx, bodies...)
	var refused *app.EventError
	switch {
	case errors.As(err, &refused):
		return nil, fmt.Errorf("%s: %w", batch[refused.Index].where(), refused.Err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w; some of these may be stored", lines(batch), err)
	}
	return ids, nil
}
