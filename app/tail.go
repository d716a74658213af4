package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/record"
)

// TailConfig says what Tail shows. The zero value is every event that is
// accepted from now on.
type TailConfig struct {
	Type        string // as in a destination's types: exact, order.* or *; "": every one
	Key         string // "": every one
	Destination string // what this one is sent, instead of what was accepted
	Poison      bool   // what Destination has given up
	From        string // beginning, end ("" too), or how long ago, such as 10m
	Count       int    // end after so many; 0: none
	JSON        bool   // a JSON object a line, with all that is known
	Width       int    // characters of a payload in a line that is not JSON; 0: all
	Bare        bool   // without payloads, their headers and the events' context
	// Started is called when it is settled where to begin. nil: nobody is told.
	Started func(topic string, partitions int)
}

// Tail writes one line for each event that passes through a topic, until ctx
// ends (the error is nil then) or Count is reached. The lines of a partition are
// in the order of their offsets; those of several come as they are read.
// Partitions that the topic gains later are not seen.
//
// It reads a cluster, or the directory of a stopped server: then it ends with the
// last record. A running server's own broker is seen through its admin API. Tail
// joins no consumer group, commits nothing and changes nothing.
func Tail(ctx context.Context, w io.Writer, cfg *config.Config, o Options, c TailConfig) (err error) {
	from, err := c.check(time.Now(), "--")
	if err != nil {
		return err
	}
	r, err := o.openTailSource(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if from == (begin{}) && !r.grows {
		return fmt.Errorf("broker.dir: no server runs on %s, so nothing comes after the end; start eventserver, or give --from beginning for what is stored", cfg.Broker.Dir)
	}
	t, err := c.tailing(ctx, r, from)
	if err != nil {
		return err
	}
	if c.Started != nil {
		c.Started(t.name, len(t.ranges))
	}
	err = t.run(ctx, func(line []byte) error {
		_, err := w.Write(append(line, '\n'))
		return err
	}, func(cause error) error {
		o.logger().Warn("cannot read; trying again", slog.Any("error", cause))
		return nil
	})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// tailSource is what a tail reads.
type tailSource struct {
	infra.Reader
	name   func(topic string) string               // on the broker
	topics func(context.Context) ([]string, error) // by these names
	grows  bool                                    // records may come
	close  func() error
}

// begin is where a Tail begins; the zero value is the end of the topic.
type begin struct {
	oldest bool      // with the oldest messages there are
	since  time.Time // with those stored then or later
}

// Check finds what cannot be meant.
func (c TailConfig) Check() error {
	_, err := c.check(time.Now(), "--")
	return err
}

// check reads what begins where, and refuses what cannot be meant. dash stands
// before the names of fields.
func (c TailConfig) check(now time.Time, dash string) (begin, error) {
	if c.Poison && c.Destination == "" {
		return begin{}, fmt.Errorf("%[1]spoison: say whose poison queue, with %[1]sdestination ID", dash)
	}
	if p := strings.TrimSuffix(c.Type, ".*"); c.Type != "*" && strings.Contains(p, "*") {
		return begin{}, fmt.Errorf(dash+"type: %q is not a pattern; write a whole type, a prefix with .* behind it, or *", c.Type)
	}
	if c.Count < 0 || c.Width < 0 {
		return begin{}, fmt.Errorf("%[1]scount, %[1]swidth: write 0 for all, or more", dash)
	}
	switch c.From {
	case "", "end":
		return begin{}, nil
	case "beginning":
		return begin{oldest: true}, nil
	}
	ago, err := time.ParseDuration(c.From)
	if err != nil || ago < 0 {
		return begin{}, fmt.Errorf(dash+"from: %q is not beginning, end or a time span such as 10m or 24h", c.From)
	}
	return begin{since: now.Add(-ago)}, nil
}

func (c TailConfig) topic() string {
	switch {
	case c.Poison:
		return record.PoisonTopic(c.Destination)
	case c.Destination != "":
		return record.DestinationTopic(c.Destination)
	}
	return record.EventsTopic
}

// known says which topics there are.
func (r *tailSource) known(ctx context.Context) error {
	names, err := r.topics(ctx)
	if err != nil {
		return err
	}
	const most = 50 // a cluster that is shared may have thousands
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	if len(names) == 0 {
		return errors.New("the broker has no topics; eventserver makes them when it starts")
	}
	return fmt.Errorf("the broker has %s%s; eventserver makes a destination's topics when it starts with it", strings.Join(names, ", "), more)
}

// tailing is one Tail under way.
type tailing struct {
	c      TailConfig
	r      *tailSource
	name   string                // of the topic, on the broker
	ranges map[int32]infra.Range // what is still to be read
	shown  int
	warned bool // of trouble that has not ended
}

// tailing settles where to begin. The error wraps infra.ErrNoTopic where there is
// no such topic, and says which there are.
func (c TailConfig) tailing(ctx context.Context, r *tailSource, from begin) (*tailing, error) {
	t := &tailing{c: c, r: r, name: r.name(c.topic()), ranges: map[int32]infra.Range{}}
	bounds, err := r.Bounds(ctx, c.topic(), from.since)
	if errors.Is(err, infra.ErrNoTopic) {
		return nil, fmt.Errorf("topic %s %w; %w", r.name(c.topic()), infra.ErrNoTopic, r.known(ctx))
	}
	if err != nil {
		return nil, err
	}
	for p, b := range bounds {
		at, to := b.End, b.End
		if from.oldest || !from.since.IsZero() {
			at = b.At
		}
		if r.grows {
			to = infra.Forever
		}
		t.ranges[p] = infra.Range{From: at, To: to}
	}
	return t, nil
}

// errTailed ends the reading after Count events.
var errTailed = errors.New("enough")

// failedLine is the error of whoever takes the lines.
type failedLine struct{ error }

// run hands show a line for each record, without its end, until ctx or Count ends
// it. The error is nil then only for Count, and at the end of what does not grow.
// warn is told once of what is tried again.
func (t *tailing) run(ctx context.Context, show func(line []byte) error, warn func(cause error) error) error {
	const pause = time.Second // before what could not be read is tried again
	for {
		err := t.r.Scan(ctx, t.c.topic(), t.ranges, func(m *message.Message, at time.Time) error { return t.record(m, at, show) })
		var failed failedLine
		switch {
		case err == nil, errors.Is(err, errTailed):
			return nil
		case errors.As(err, &failed):
			return failed.error
		case ctx.Err() != nil, !t.r.grows:
			return err
		}
		if !t.warned {
			if err := warn(err); err != nil {
				return err
			}
		}
		t.warned = true
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-wait.C:
		}
	}
}

func (t *tailing) record(m *message.Message, at time.Time, show func(line []byte) error) error {
	next := t.ranges[infra.Partition(m)]
	next.From = infra.Offset(m) + 1
	t.ranges[infra.Partition(m)] = next
	t.warned = false
	r := t.c.read(m, at)
	r.Topic = t.name
	if t.c.Type != "" && !router.MatchTypes([]string{t.c.Type}, r.Type) || t.c.Key != "" && t.c.Key != r.Key {
		return nil
	}
	line := r.text(t.c.Width, t.c.Bare)
	if t.c.JSON {
		line = r.json()
	}
	if err := show([]byte(line)); err != nil {
		return failedLine{err}
	}
	if t.shown++; t.shown == t.c.Count {
		return errTailed
	}
	return nil
}
