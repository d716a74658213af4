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
	"eventserver/infra/kafka"
	"eventserver/router"
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
	// Started is called when it is settled where to begin. nil: nobody is told.
	Started func(topic string, partitions int)
}

// Tail writes one line for each event that passes through a topic, until ctx
// ends (the error is nil then) or Count is reached. The lines of a partition are
// in the order of their offsets; those of several come as they are read.
// Partitions that the topic gains later are not seen.
//
// It reads the broker that the configuration names, the cluster or the embedded
// broker of a server that runs. It joins no consumer group, commits nothing and
// changes nothing.
func Tail(ctx context.Context, w io.Writer, cfg *config.Config, o Options, c TailConfig) (err error) {
	log := o.logger()
	from, err := c.check(time.Now())
	if err != nil {
		return err
	}
	k, err := joinConfig(cfg, log, func(error) {})
	if err != nil {
		return err
	}
	r, err := connect(ctx, k, kafka.OpenReader)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	t := &tailing{c: c, w: w, log: log, running: func() error { _, err := joinConfig(cfg, log, nil); return err }}
	err = t.run(ctx, r, from)
	switch {
	case errors.Is(err, errTailed):
		return t.failed
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil
	case errors.Is(err, infra.ErrNoTopic):
		return fmt.Errorf("%w; %w", err, c.known(r))
	}
	return err
}

// begin is where a Tail begins; the zero value is the end of the topic.
type begin struct {
	oldest bool      // with the oldest messages there are
	since  time.Time // with those stored then or later
}

// check reads what begins where, and refuses what cannot be meant.
func (c TailConfig) check(now time.Time) (begin, error) {
	if c.Poison && c.Destination == "" {
		return begin{}, errors.New("--poison: say whose poison queue, with --destination ID")
	}
	if p := strings.TrimSuffix(c.Type, ".*"); c.Type != "*" && strings.Contains(p, "*") {
		return begin{}, fmt.Errorf("--type: %q is not a pattern; write a whole type, a prefix with .* behind it, or *", c.Type)
	}
	if c.Count < 0 || c.Width < 0 {
		return begin{}, errors.New("--count, --width: write 0 for all, or more")
	}
	switch c.From {
	case "", "end":
		return begin{}, nil
	case "beginning":
		return begin{oldest: true}, nil
	}
	ago, err := time.ParseDuration(c.From)
	if err != nil || ago < 0 {
		return begin{}, fmt.Errorf("--from: %q is not beginning, end or a time span such as 10m or 24h", c.From)
	}
	return begin{since: now.Add(-ago)}, nil
}

func (c TailConfig) topic() string {
	switch {
	case c.Poison:
		return router.PoisonTopic(c.Destination)
	case c.Destination != "":
		return router.DestinationTopic(c.Destination)
	}
	return router.EventsTopic
}

// known says which topics there are.
func (c TailConfig) known(r *kafka.Reader) error {
	names, err := r.Topics()
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

// errTailed ends the reading after Count events, or when a line cannot be written.
var errTailed = errors.New("enough")

// tailing is one Tail under way.
type tailing struct {
	c       TailConfig
	w       io.Writer
	log     *slog.Logger
	running func() error // whether there is still a broker to read
	shown   int
	told    bool                  // of trouble that has not ended
	failed  error                 // of the writing
	ranges  map[int32]infra.Range // what is still to be read
}

// run shows what there is from its beginning on, until ctx or the server ends.
func (t *tailing) run(ctx context.Context, r *kafka.Reader, from begin) error {
	const pause = time.Second // before what could not be read is tried again
	topic := t.c.topic()
	bounds, err := r.Bounds(ctx, topic, from.since)
	if err != nil {
		return err
	}
	t.ranges = map[int32]infra.Range{}
	for p, b := range bounds {
		at := b.End
		if from.oldest || !from.since.IsZero() {
			at = b.At
		}
		t.ranges[p] = infra.Range{From: at, To: infra.Forever}
	}
	if t.c.Started != nil {
		t.c.Started(r.RealName(topic), len(bounds))
	}
	for {
		err := r.Scan(ctx, topic, t.ranges, t.record)
		if err == nil || ctx.Err() != nil || errors.Is(err, errTailed) {
			return err
		}
		if err := t.trouble(err); err != nil {
			return err
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-wait.C:
		}
	}
}

func (t *tailing) record(m *message.Message, at time.Time) error {
	t.told = false
	t.ranges[infra.Partition(m)] = infra.Range{From: infra.Offset(m) + 1, To: infra.Forever}
	r := t.c.read(m, at)
	if t.c.Type != "" && !router.MatchTypes([]string{t.c.Type}, r.Type) || t.c.Key != "" && t.c.Key != r.Key {
		return nil
	}
	line := r.text(t.c.Width)
	if t.c.JSON {
		line = r.json()
	}
	if _, err := io.WriteString(t.w, line); err != nil {
		t.failed = err
		return errTailed
	}
	if t.shown++; t.shown == t.c.Count {
		return errTailed
	}
	return nil
}

// trouble goes on, unless the embedded broker has gone with its server: the
// next one listens elsewhere.
func (t *tailing) trouble(cause error) error {
	if err := t.running(); err != nil {
		return fmt.Errorf("the server has stopped: %w", err)
	}
	if !t.told {
		t.log.Warn("cannot read; trying again", slog.Any("error", cause))
	}
	t.told = true
	return nil
}
