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

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/attempt"
	"eventserver/router/record"
)

// Live is the scheduler of this process; router.Pipeline is one.
type Live interface {
	Waiting(destination, key string) []router.Waiting
	Recent(destination, eventID, key string) []attempt.Finish
	Status(id string) (router.Status, bool)
}

// Config of an Explainer.
type Config struct {
	Reader       infra.Reader
	Groups       infra.Groups
	Live         Live                         // nil: nothing runs in this process
	Destinations func() []router.Destination  // as they are configured now
	Begins       func(string) map[int32]int64 // offsets of events where a destination began, if not at the oldest; may be nil
	Instance     string                       // of this process in its groups, as Members name it; "": not known
	ByPartition  bool                         // events wait for those of their partition, not of their user
	MaxRecords   int64                        // read of one topic for one question; default 5,000,000
	Patience     time.Duration                // with the search of the whole topic of events; default 30 s
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
	if cfg.Patience <= 0 {
		cfg.Patience = 30 * time.Second
	}
	return &Explainer{cfg: cfg}, nil
}

// Explain tells where an event is. Its error wraps ErrNotFound or ErrBadQuestion where
// it is one of these. ctx bounds how long it takes; what it
// has found by then is lost.
func (x *Explainer) Explain(ctx context.Context, q Question) (*Explanation, error) {
	dests, err := x.destinations(q)
	if err != nil {
		return nil, err
	}
	c := &inquiry{x: x, q: q, hint: timeOf(q.ID, time.Now()), out: &Explanation{
		EventID: q.ID, At: time.Now().UTC(), Live: x.cfg.Live != nil,
		Accepted: []AcceptedAt{}, Destinations: []DestinationExplanation{}, Searched: []SearchedTopic{}, Notes: []string{},
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
	known := len(c.found)
	if err := c.retrace(ctx); err != nil {
		return nil, err
	}
	if len(c.found) > known {
		if err := c.follow(ctx, dests, transformed); err != nil {
			return nil, err
		}
	}
	c.accept()
	if len(c.found) == 0 && !slices.ContainsFunc(c.out.Destinations, traced) {
		return nil, c.notFound()
	}
	if len(c.found) == 0 {
		c.note("Its record in the topic of events is deleted or was not found; this is what the other topics know.")
	}
	return c.out, nil
}

// accept says where the event was accepted.
func (c *inquiry) accept() {
	keys := map[string]bool{}
	for _, o := range c.found {
		c.out.Accepted = append(c.out.Accepted, o.AcceptedAt)
		keys[o.Key] = true
	}
	if n := len(c.found); n > 1 {
		c.note("The id was accepted %d times, as when a client sends again what it has no answer for. Each is delivered; what is said of the destinations is about the last.", n)
	}
	if len(keys) > 1 {
		c.note("The id is there with %d different keys: these are events of different users.", len(keys))
	}
}

// traced reports whether a destination has something of the event.
func traced(d DestinationExplanation) bool {
	return len(d.Records)+len(d.Poison) > 0 || d.State == StateDelivered || d.State == StateFiltered
}

// follow looks for the event at each destination.
func (c *inquiry) follow(ctx context.Context, dests []router.Destination, transformed []map[int32]infra.Progress) error {
	c.out.Destinations = make([]DestinationExplanation, len(dests))
	return eachOf(len(dests), func(i int) error {
		d, err := c.destination(ctx, &dests[i], transformed[i])
		if err != nil {
			return fmt.Errorf("destination %s: %w", dests[i].Destination.ID(), err)
		}
		c.out.Destinations[i] = d
		return nil
	})
}

func (x *Explainer) destinations(q Question) ([]router.Destination, error) {
	if q.ID == "" {
		return nil, fmt.Errorf("an event without an id %w; give the id that its request was answered with", ErrBadQuestion)
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
	return nil, fmt.Errorf("destination %q %w: there is none of that id; there are %s", q.Destination, ErrBadQuestion, strings.Join(known, ", "))
}

// inquiry is one question under way.
type inquiry struct {
	x *Explainer
	q Question

	hint time.Time // that the id names; the zero time: it names none

	found []occurrence // in the topic of events, by time
	read  int64        // records of the topic of events
	gone  bool         // records of the time that was looked for are deleted
	early bool         // the search ended before all was read
	short []string     // other topics of which not all was read

	mu      sync.Mutex
	damaged map[string]bool // topics with records that cannot be read
	out     *Explanation
	origins map[origin]struct{} // of records in other topics
}

// occurrence is one record of the event in the topic of events.
type occurrence struct {
	AcceptedAt
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
	o := origin{m.Metadata.Get(infra.MetaKey), record.Sequence(m)}
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
	of := make([]infra.GroupTopic, len(dests))
	for i, d := range dests {
		of[i] = infra.GroupTopic{Group: record.TransformGroup(d.Destination.ID()), Topic: record.EventsTopic}
	}
	out := make([]map[int32]infra.Progress, len(dests))
	for i, p := range c.x.cfg.Groups.Progress(ctx, of...) {
		if p.Err != nil {
			return nil, p.Err
		}
		out[i] = p.Partitions
	}
	return out, nil
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
