package log

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"eventserver/destinations"
)

// Kind is the name of this kind of destination in the configuration.
const Kind = "log"

// Config says what a line looks like.
type Config struct {
	Format   string `yaml:"format" default:"text" oneof:"text json" doc:"Format of a line, text or json."`
	MaxBytes int    `yaml:"max_bytes" default:"4096" unit:"bytes" min:"1" doc:"Maximum bytes of a body on a line. A longer body is cut."`
}

func (c Config) withDefaults() Config {
	if c.Format == "" {
		c.Format = "text"
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 4096
	}
	return c
}

// Validate returns errors.Join of one "key: what is wrong" for each fault.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.Format != "text" && c.Format != "json" {
		errs = append(errs, fmt.Errorf("format: %q is not text or json", c.Format))
	}
	if c.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("max_bytes: %d is negative", c.MaxBytes))
	}
	return errors.Join(errs...)
}

// Destination writes lines. It is safe for many goroutines.
type Destination struct {
	id   string
	cfg  Config
	w    io.Writer
	now  func() time.Time
	turn chan struct{} // holds one token: the right to write. A mutex could not be given up on.
	torn bool          // the last line has no end; held with turn
}

// New makes a destination that writes to w, or to os.Stdout where w is nil.
// Each line is one Write, so that w may be shared with others.
func New(id string, cfg Config, w io.Writer) (*Destination, error) {
	if id == "" {
		return nil, errors.New("id: is missing")
	}
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if w == nil {
		w = os.Stdout
	}
	if f, ok := w.(*os.File); ok && (f == os.Stdout || f == os.Stderr) {
		own, err := detached(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		w = own
	}
	d := &Destination{id: id, cfg: cfg, w: w, now: time.Now, turn: make(chan struct{}, 1)}
	d.turn <- struct{}{}
	return d, nil
}

// ID is the destination's name.
func (d *Destination) ID() string { return d.id }

// Transform passes the event's data on as it is.
func (d *Destination) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

// Deliver writes one line. A writer that fails, or takes nothing until the
// attempt's deadline, is the destination's fault.
func (d *Destination) Deliver(ctx context.Context, del destinations.Delivery) error {
	var line []byte
	if d.cfg.Format == "json" {
		line = d.json(del)
	} else {
		line = d.text(del)
	}
	select {
	case <-d.turn:
	case <-ctx.Done():
		return ended(ctx, "waiting for the writer")
	}
	// A Write knows no context, so it runs beside us, and keeps the turn until
	// it returns: lines never mix, and a key's next attempt comes after. Of a
	// writer that is stuck there is one goroutine, however many attempts end.
	done := make(chan error, 1)
	go func() {
		err := d.write(line)
		d.turn <- struct{}{}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ended(ctx, "writing")
	}
}

// ended is the error of an attempt whose context ended. A reader that is gone or
// stuck is so for every event.
func ended(ctx context.Context, what string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return destinations.Unavailable(destinations.Late("log: " + what + ": nobody reads the output, or not fast enough"))
	}
	return fmt.Errorf("log: %s: %w", what, ctx.Err())
}

func (d *Destination) write(line []byte) error {
	if d.torn { // end what a failed write left, so that this line is whole
		line = append([]byte{'\n'}, line...)
	}
	for rest := line; len(rest) > 0; {
		n, err := d.w.Write(rest)
		if n < 0 || n > len(rest) {
			n, err = 0, errors.New("the writer reports an impossible count")
		}
		if n > 0 {
			d.torn = rest[n-1] != '\n'
		}
		rest = rest[n:]
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil && len(rest) > 0 {
			return destinations.Unavailable(fmt.Errorf("log: %w", err))
		}
	}
	return nil
}
