package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"eventserver/app/config"
	"eventserver/app/ingest"
	"eventserver/app/ingest/envelope"
	"eventserver/app/schema"
	"eventserver/destinations"
	"eventserver/router/plural"
)

// SendConfig says where Send puts events, and what it adds to them.
type SendConfig struct {
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
	// Send. nil: nobody is told.
	Stored func(ids []string) error

	transport http.RoundTripper // of tests
}

// Bounds of one request. A batch waits for more as long as sendWait, so that
// what comes slowly through a pipe is not kept for long.
const (
	defaultSendBatch = 100
	maxSendBytes     = 4 << 20 // half of what a server takes by default
	sendWait         = 50 * time.Millisecond
)

// Send reads events from in, one JSON object, an array of them, or any number
// one after the other (NDJSON), and stores them, in order. It returns how many
// are stored: durable, in front of those that are not. The error is nil when all
// are; otherwise it names the line where to go on.
//
// The events' bytes stay as they are, but for members that are put in front.
// When ctx ends, the request under way is waited for. A Read of in that has not
// returned by then goes on behind Send: close in to end it.
//
// A request that is answered 503 is sent again and may have been stored: its
// events are then stored twice. Those with an id of their own have the same id
// both times; an event without one gets another id from the server each time.
func Send(ctx context.Context, cfg *config.Config, o Options, c SendConfig, in io.Reader) (stored int, err error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	to, err := c.open(ctx, cfg, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	s := &sending{c: c, to: to, events: make(chan sendResult)}
	done := make(chan struct{})
	defer close(done)
	go s.read(newSendReader(in, sendFill{Type: c.Type, Key: c.Key, ID: c.ID}), done)
	return s.run(ctx)
}

func (c *SendConfig) check() error {
	if c.Batch == 0 {
		c.Batch = defaultSendBatch
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
	send(ctx context.Context, events []sendEvent) ([]string, error)
	Close() error
}

func (c *SendConfig) open(ctx context.Context, cfg *config.Config, o Options) (sender, error) {
	log := o.logger()
	if !c.Broker {
		return newPoster(cfg, c, log)
	}
	if c.URL != "" || c.APIKey != "" {
		return nil, errors.New("--broker: asks no server, so leave --url and --api-key-file out")
	}
	if err := needShared(cfg, "leave --broker out, so that events are posted to the server's http.addr"); err != nil {
		return nil, fmt.Errorf("--broker: %w", err)
	}
	s, err := OpenStore(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	return &storer{store: s, limits: envelope.Limits{MaxEventBytes: int(cfg.HTTP.MaxEventBytes)}}, nil
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

// sendResult is an event that was read, or the error that ended the reading.
type sendResult struct {
	event sendEvent
	err   error
}

// sending is one Send under way.
type sending struct {
	c      SendConfig
	to     sender
	events chan sendResult

	held   *sendEvent // read, and too large for the last batch
	stored int
}

// read hands out events until there are no more, or until done is closed.
func (s *sending) read(r *sendReader, done <-chan struct{}) {
	for {
		e, err := r.next()
		select {
		case s.events <- sendResult{event: e, err: err}:
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
					return s.stored, fmt.Errorf("%w; %s stored", err, events(s.stored))
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
		return fmt.Errorf("%w; %s stored", err, events(s.stored))
	}
	return fmt.Errorf("%w; %s stored, all before %s", err, events(s.stored), next)
}

func events(n int) string {
	if n == 0 {
		return "no event is"
	}
	return plural.Count(n, "event is", "events are")
}

// errInterrupted is the end of ctx in the words of the command line.
var errInterrupted = errors.New("interrupted")

// gather returns what one request takes. The error is what follows it: io.EOF,
// a fault of the input or the end of ctx.
func (s *sending) gather(ctx context.Context) (batch []sendEvent, end error) {
	size := 0
	if s.held != nil {
		batch, size, s.held = append(batch, *s.held), len(s.held.raw), nil
	}
	var full <-chan time.Time
	wait := func() {
		if len(batch) == 1 {
			full = time.After(sendWait)
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
			if len(batch) > 0 && size+len(r.event.raw) > maxSendBytes {
				s.held = &r.event
				return batch, nil
			}
			batch, size = append(batch, r.event), size+len(r.event.raw)
			wait()
		}
	}
	return batch, nil
}

func (s *sending) interrupted(batch []sendEvent) error {
	if len(batch) > 0 {
		s.held = &batch[0]
	}
	return errInterrupted
}

// storer puts events on the broker, as the HTTP front does.
type storer struct {
	store  *Store
	limits envelope.Limits
}

func (s *storer) send(ctx context.Context, batch []sendEvent) ([]string, error) {
	now := time.Now().UTC()
	evs, ids := make([]destinations.Event, len(batch)), make([]string, len(batch))
	for i, b := range batch {
		envs, _, err := envelope.Parse(b.raw, s.limits)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.where(), err)
		}
		evs[i] = ingest.Event(envs[0], now)
		if err := s.store.settle(ctx, &evs[i], envs[0].Key != ""); err != nil {
			return nil, fmt.Errorf("%s: %w", b.where(), err)
		}
		ids[i] = evs[i].ID
	}
	if err := s.store.publish(evs); err != nil {
		return nil, fmt.Errorf("%s: %w; some of these may be stored", lines(batch), err)
	}
	return ids, nil
}

// Close implements sender.
func (s *storer) Close() error { return s.store.Close() }

// Examples returns the examples of a type's schema, from the directory that the
// configuration names, or else from ./schemas.
func Examples(cfg *config.Config, typ string) ([][]byte, error) {
	dir := "./schemas"
	if cfg.Schemas != nil {
		dir = cfg.Schemas.Dir
	}
	registry, err := schema.Load(dir)
	if err != nil {
		return nil, err
	}
	s, ok := registry.Lookup(typ)
	if !ok {
		var known []string
		for _, s := range registry.Schemas() {
			known = append(known, s.Type)
		}
		return nil, fmt.Errorf("there is no schema of type %q in %s, which has %s", typ, dir, strings.Join(known, ", "))
	}
	return s.Examples, nil
}
