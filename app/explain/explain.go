package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/oklog/ulid/v2"

	"eventserver/app/admin"
	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router"
)

// Live is the scheduler of this process; router.Pipeline is one.
type Live interface {
	Waiting(destination, key string) []router.Waiting
	Recent(destination, eventID, key string) []router.Finish
	Status(id string) (router.Status, bool)
}

// Config of an Explainer.
type Config struct {
	Reader       infra.Reader
	Groups       infra.Groups
	Live         Live                        // nil: nothing runs in this process
	Destinations func() []router.Destination // as they are configured now
	Instance     string                      // of this process in its groups, as Members name it; "": not known
	ByPartition  bool                        // events wait for those of their partition, not of their user
	MaxRecords   int64                       // read of one topic for one question; default 5,000,000
}

// Explainer answers questions about events. Many may ask it at once.
type Explainer struct{ cfg Config }

// New returns an Explainer.
func New(cfg Config) (*Explainer, error) {
	if cfg.Reader == nil || cfg.Groups == nil || cfg.Destinations == nil {
		return nil, errors.New("explain: Reader, Groups and Destinations must be given")
	}
	if cfg.MaxRecords <= 0 {
		cfg.MaxRecords = 5_000_000
	}
	return &Explainer{cfg: cfg}, nil
}

var _ admin.Explaining = (*Explainer)(nil)

// Explain implements admin.Explaining. ctx bounds how long it takes; what it
// has found by then is lost.
func (x *Explainer) Explain(ctx context.Context, q admin.ExplainQuestion) (*admin.Explanation, error) {
	dests, err := x.destinations(q)
	if err != nil {
		return nil, err
	}
	c := &inquiry{x: x, q: q, out: &admin.Explanation{
		EventID: q.ID, At: time.Now().UTC(), Live: x.cfg.Live != nil,
		Accepted: []admin.AcceptedAt{}, Destinations: []admin.DestinationExplanation{}, Searched: []admin.SearchedTopic{}, Notes: []string{},
	}}
	// Before the topic of events is read, so that what is done then has left its
	// record where it is looked for next.
	transformed, err := c.progress(ctx, dests)
	if err != nil {
		return nil, err
	}
	if err := c.accepted(ctx); err != nil {
		return nil, err
	}
	if err := c.follow(ctx, dests, transformed); err != nil {
		return nil, err
	}
	if len(c.found) == 0 && len(c.origins) > 0 { // what it became tells where it is
		if err := c.retrace(ctx); err != nil {
			return nil, err
		}
		if len(c.found) > 0 {
			if err := c.follow(ctx, dests, transformed); err != nil {
				return nil, err
			}
		}
	}
	if len(c.found) == 0 && !slices.ContainsFunc(c.out.Destinations, traced) {
		return nil, c.notFound()
	}
	if len(c.found) == 0 {
		c.note("Its record in the topic of events is deleted or was not found; this is what the other topics know.")
	}
	return c.out, nil
}

// traced reports whether a destination has something of the event.
func traced(d admin.DestinationExplanation) bool {
	return len(d.Records)+len(d.Poison) > 0 || d.State == admin.StateDelivered || d.State == admin.StateFiltered
}

// follow looks for the event at each destination.
func (c *inquiry) follow(ctx context.Context, dests []router.Destination, transformed []map[int32]infra.Progress) error {
	c.out.Destinations = make([]admin.DestinationExplanation, len(dests))
	return eachOf(len(dests), func(i int) error {
		d, err := c.destination(ctx, &dests[i], transformed[i])
		if err != nil {
			return fmt.Errorf("destination %s: %w", dests[i].Destination.ID(), err)
		}
		c.out.Destinations[i] = d
		return nil
	})
}

func (x *Explainer) destinations(q admin.ExplainQuestion) ([]router.Destination, error) {
	if q.ID == "" {
		return nil, fmt.Errorf("an event without an id %w; give the id that its request was answered with", admin.ErrBadQuestion)
	}
	all := x.cfg.Destinations()
	if q.Destination == "" {
		return all, nil
	}
	var known []string
	for _, d := range all {
		if id := d.Destination.ID(); id == q.Destination {
			return []router.Destination{d}, nil
		} else {
			known = append(known, id)
		}
	}
	return nil, fmt.Errorf("destination %q %w: there is none of that id; there are %s", q.Destination, admin.ErrBadQuestion, strings.Join(known, ", "))
}

// inquiry is one question under way.
type inquiry struct {
	x *Explainer
	q admin.ExplainQuestion

	began  time.Time // the event's time, where its id tells that; the zero time elsewhere
	isULID bool

	found []occurrence // in the topic of events, by time
	gone  bool         // records of the time that was looked for are deleted
	early bool         // the search ended before all was read

	mu      sync.Mutex
	out     *admin.Explanation
	origins map[origin]struct{} // of records in other topics
}

// occurrence is one record of the event in the topic of events.
type occurrence struct {
	admin.AcceptedAt
	event    destinations.Event
	err      error // it cannot be read
	orderKey string
	keyless  bool // another program wrote it without a key: its id is taken for one
}

// origin is where the event of a record in another topic is.
type origin struct {
	key      string
	sequence int64
}

// cameFrom remembers the origin of a record of the event.
func (c *inquiry) cameFrom(m *message.Message) {
	o := origin{m.Metadata.Get(infra.MetaKey), router.Sequence(m)}
	if o.key == "" || o.sequence < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.origins == nil {
		c.origins = map[origin]struct{}{}
	}
	c.origins[o] = struct{}{}
}

func (c *inquiry) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.out.Notes, text) {
		c.out.Notes = append(c.out.Notes, text)
	}
}

// progress is what each destination's transform group has done.
func (c *inquiry) progress(ctx context.Context, dests []router.Destination) ([]map[int32]infra.Progress, error) {
	out := make([]map[int32]infra.Progress, len(dests))
	err := eachOf(len(dests), func(i int) (err error) {
		out[i], err = c.x.cfg.Groups.Progress(ctx, router.TransformGroup(dests[i].Destination.ID()), router.EventsTopic)
		return err
	})
	return out, err
}

// eachOf calls f for 0 to n-1, a few at once, and returns the first error.
func eachOf(n int, f func(i int) error) error {
	const atOnce = 4
	var wg sync.WaitGroup
	errs := make([]error, n)
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// window is a span of time in which records were stored; zero ends are open.
type window struct{ from, to time.Time }

// windows are where the event is looked for, one after the other.
func (c *inquiry) windows() ([]window, error) {
	if !c.q.Since.IsZero() {
		return []window{{from: c.q.Since}}, nil
	}
	if id, err := ulid.ParseStrict(c.q.ID); err == nil {
		c.began, c.isULID = id.Timestamp().UTC(), true
		at := func(before, after time.Duration) window { return window{c.began.Add(-before), c.began.Add(after)} }
		return []window{at(2*time.Second, 10*time.Second), at(time.Hour, 24*time.Hour)}, nil
	}
	if c.q.Key != "" {
		return []window{{}}, nil
	}
	return nil, fmt.Errorf("event %q %w: its id is no ULID, which would tell when it was made; give the user with --key, or when it was accepted with --since (key=, since=)",
		c.q.ID, admin.ErrBadQuestion)
}

// notFound says what was searched, and the cure.
func (c *inquiry) notFound() error {
	var searched []string
	for _, s := range c.out.Searched {
		if s.Topic != router.EventsTopic {
			continue
		}
		text := fmt.Sprintf("%d records of %d partitions", s.Records, s.Partitions)
		if s.Records == 0 {
			text = "no record, as there is none"
		}
		switch {
		case !s.From.IsZero() && !s.To.IsZero():
			text += " stored " + clock(s.From) + " to " + clock(s.To)
		case !s.From.IsZero():
			text += " stored since " + clock(s.From)
		}
		searched = append(searched, text)
	}
	var cure string
	switch {
	case c.early:
		cure = "the search ended early; narrow it with --key and --since"
	case c.isULID && c.q.Since.IsZero():
		cure = "its id says that it was made at " + clock(c.began) + "; where a client made the id with another clock, give --since"
		if c.q.Key == "" {
			cure += " or --key"
		}
	case c.q.Since.IsZero():
		cure = "check the id and the key"
	default:
		cure = "check the id, or give an earlier --since"
	}
	if c.gone {
		cure += "; older records are deleted, its may be one of them"
	}
	return fmt.Errorf("event %q %w in the topics of this server: read were %s; %s", c.q.ID, admin.ErrNotFound, strings.Join(searched, ", "), cure)
}
