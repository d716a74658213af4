package log

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"eventserver/destinations"
)

// Kind is the name in the configuration.
const Kind = "log"

// Config of a log destination.
type Config struct {
	Format  string `yaml:"format" default:"text" oneof:"text json" doc:"Form of a line."`
	MaxBody int    `yaml:"max_body" default:"4096" min:"0" doc:"Most bytes of the payload in a line; the rest is cut. 0 for none of it."`
}

// Destination writes deliveries to a writer.
type Destination struct {
	id  string
	cfg Config

	mu sync.Mutex
	w  io.Writer
}

// New returns a log destination that writes to w.
func New(id string, cfg Config, w io.Writer) (*Destination, error) {
	if cfg.Format == "" {
		cfg.Format = "text"
	}
	if cfg.Format != "text" && cfg.Format != "json" {
		return nil, fmt.Errorf("format: %q is not text or json", cfg.Format)
	}
	if w == nil {
		return nil, errors.New("log: no writer")
	}
	return &Destination{id: id, cfg: cfg, w: w}, nil
}

// ID implements destinations.Destination.
func (d *Destination) ID() string { return d.id }

// Transform implements destinations.Destination: the event's own bytes.
func (d *Destination) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

// Deliver writes one line. A writer that fails makes the destination unavailable.
func (d *Destination) Deliver(_ context.Context, dl destinations.Delivery) error {
	line := d.line(dl)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.w.Write(line); err != nil {
		return destinations.Unavailable(fmt.Errorf("write the log line: %w", err))
	}
	return nil
}

func (d *Destination) line(dl destinations.Delivery) []byte {
	body := oneLine(dl.Payload.Body)
	if len(body) > d.cfg.MaxBody {
		body = strings.ToValidUTF8(body[:d.cfg.MaxBody], "") + "..."
	}
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	if d.cfg.Format == "json" {
		line, _ := json.Marshal(struct { // strings and numbers cannot fail
			Time        string `json:"time"`
			Destination string `json:"destination"`
			ID          string `json:"event_id"`
			Type        string `json:"type,omitempty"`
			Key         string `json:"key"`
			Attempt     int    `json:"attempt"`
			Sequence    int64  `json:"sequence"`
			Body        string `json:"body"`
		}{now, d.id, dl.EventID, dl.EventType, dl.Key, dl.Attempt, dl.Sequence, body})
		return append(line, '\n')
	}
	typ := dl.EventType
	if typ == "" {
		typ = "-"
	}
	return fmt.Appendf(nil, "%s %s event=%s type=%s key=%s attempt=%d %s\n",
		now, d.id, word(dl.EventID), word(typ), word(dl.Key), dl.Attempt, body)
}

// word quotes what would break the line's fields.
func word(s string) string {
	if q := strconv.Quote(s); len(q) != len(s)+2 || strings.ContainsAny(s, " =") {
		return q
	}
	return s
}

// oneLine makes a body safe to print: compact when it is JSON, quoted when it
// has control characters, so that no event can forge a line.
func oneLine(body []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, body) == nil {
		body = b.Bytes()
	}
	s := strings.ToValidUTF8(string(body), "\uFFFD")
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
		return strconv.Quote(s)
	}
	return s
}
