package explain

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/app/admin"
	"eventserver/infra"
	"eventserver/router"
)

// errEnough ends a scan that has read as much as it may.
var errEnough = errors.New("enough")

// search reads topics for one question, no record twice.
type search struct {
	c     *inquiry
	topic string
	read  map[int32]infra.Range
	count int64 // of all of its scans
}

// scan hands f the records of the ranges that were not read before. early: there
// was more than MaxRecords, and the rest was left out.
func (s *search) scan(ctx context.Context, ranges map[int32]infra.Range, f func(m *message.Message, at time.Time)) (n int64, early bool, err error) {
	if s.read == nil {
		s.read = map[int32]infra.Range{}
	}
	after, before := map[int32]infra.Range{}, map[int32]infra.Range{}
	for p, r := range ranges {
		have, ok := s.read[p]
		if !ok {
			have = infra.Range{From: r.From, To: r.From}
		}
		if from := max(r.From, have.To); from < r.To {
			after[p] = infra.Range{From: from, To: r.To}
		}
		if to := min(r.To, have.From); r.From < to {
			before[p] = infra.Range{From: r.From, To: to}
		}
		s.read[p] = infra.Range{From: min(r.From, have.From), To: max(r.To, have.To)}
	}
	for _, part := range []map[int32]infra.Range{after, before} { // an event is stored after it was made
		if len(part) == 0 || early {
			continue
		}
		err := s.c.x.cfg.Reader.Scan(ctx, s.topic, part, func(m *message.Message, at time.Time) error {
			if s.count >= s.c.x.cfg.MaxRecords {
				return errEnough
			}
			s.count++
			n++
			f(m, at)
			return nil
		})
		if errors.Is(err, errEnough) {
			early = true
		} else if err != nil {
			return n, early, err
		}
	}
	return n, early, nil
}

// ranges are the offsets of a window in the given partitions, nil for all.
// gone: records of that time may have been deleted.
func (c *inquiry) ranges(ctx context.Context, topic string, w window, only []int32) (out map[int32]infra.Range, gone bool, err error) {
	bounds, err := c.x.cfg.Reader.Bounds(ctx, topic, w.from)
	if err != nil {
		return nil, false, err
	}
	to := map[int32]infra.Bounds{}
	if !w.to.IsZero() {
		if to, err = c.x.cfg.Reader.Bounds(ctx, topic, w.to); err != nil {
			return nil, false, err
		}
	}
	out = map[int32]infra.Range{}
	for p, b := range bounds {
		if only != nil && !slices.Contains(only, p) {
			continue
		}
		end := b.End
		if t, ok := to[p]; ok {
			end = min(end, t.At)
		}
		gone = gone || b.At <= b.Oldest && b.Oldest > 0
		if b.At < end {
			out[p] = infra.Range{From: b.At, To: end}
		}
	}
	return out, gone, nil
}

// accepted finds the records of the event in the topic of events.
func (c *inquiry) accepted(ctx context.Context) error {
	windows, err := c.windows()
	if err != nil {
		return err
	}
	places := [][]int32{nil}
	if c.q.Key != "" {
		p, err := c.x.cfg.Reader.Place(ctx, router.EventsTopic, c.q.Key)
		if err != nil {
			return err
		}
		places = [][]int32{{p}, nil} // another program may have put it elsewhere
	}
	s := &search{c: c, topic: router.EventsTopic}
	for _, w := range windows {
		for _, only := range places {
			ranges, gone, err := c.ranges(ctx, router.EventsTopic, w, only)
			if err != nil {
				return err
			}
			c.gone = c.gone || gone
			n, early, err := s.scan(ctx, ranges, c.occurs)
			if err != nil {
				return err
			}
			c.out.Searched = append(c.out.Searched, admin.SearchedTopic{Topic: router.EventsTopic, Partitions: len(ranges), From: w.from, To: w.to, Records: n})
			if early {
				c.early = true
				c.note("The search of the topic of events ended after %d records; narrow it with --key and --since.", s.count)
			}
			if len(c.found) > 0 || c.early {
				c.settle()
				return nil
			}
		}
	}
	return nil
}

// retrace reads the event where the records that were made of it say it is.
func (c *inquiry) retrace(ctx context.Context) error {
	bounds, err := c.x.cfg.Reader.Bounds(ctx, router.EventsTopic, time.Time{})
	if err != nil {
		return err
	}
	for o := range c.origins {
		p, err := c.x.cfg.Reader.Place(ctx, router.EventsTopic, o.key)
		if err != nil {
			return err
		}
		if b := bounds[p]; o.sequence < b.Oldest || o.sequence >= b.End {
			continue
		}
		s := &search{c: c, topic: router.EventsTopic}
		if _, _, err := s.scan(ctx, map[int32]infra.Range{p: {From: o.sequence, To: o.sequence + 1}}, c.occurs); err != nil {
			return err
		}
	}
	c.settle()
	return nil
}

// occurs takes a record of the topic of events, if it is one of the event.
func (c *inquiry) occurs(m *message.Message, at time.Time) {
	if router.EventID(m) != c.q.ID {
		return
	}
	e, err := router.DecodeEvent(m)
	o := occurrence{event: e, err: err, orderKey: router.OrderKey(m), keyless: m.Metadata.Get(infra.MetaKey) == "", AcceptedAt: admin.AcceptedAt{
		Topic: router.EventsTopic, Partition: infra.Partition(m), Offset: infra.Offset(m), Stored: at.UTC(), Received: e.ReceivedAt.UTC(),
		Key: e.Key, Type: e.Type, Source: e.Source,
	}}
	if e.ReceivedAt.IsZero() {
		o.Received = time.Time{}
	}
	if err != nil {
		o.Undecodable = err.Error()
	}
	c.found = append(c.found, o)
}

// settle puts what was found in order.
func (c *inquiry) settle() {
	slices.SortStableFunc(c.found, func(a, b occurrence) int { return a.Stored.Compare(b.Stored) })
	c.narrow()
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

// narrow leaves out the events that have the id and another key than the one that
// was asked for. Where there is none of that key, another one is an answer too.
func (c *inquiry) narrow() {
	other := func(o occurrence) bool { return o.Key != c.q.Key }
	if all := len(c.found); c.q.Key != "" && slices.ContainsFunc(c.found, func(o occurrence) bool { return !other(o) }) {
		if c.found = slices.DeleteFunc(c.found, other); len(c.found) < all {
			c.note("The id is there with other keys, too: events of other users, which are left out.")
		}
	}
}

// from is when records of the event may first be in other topics.
func (c *inquiry) from() time.Time {
	const skew = time.Minute // of the clocks that stamp records
	switch {
	case len(c.found) > 0:
		return c.found[0].Stored.Add(-skew)
	case !c.q.Since.IsZero():
		return c.q.Since
	case c.isULID:
		return c.began.Add(-time.Hour)
	}
	return time.Time{}
}

// place is where the records of the event are in a topic of a destination; nil
// for anywhere.
func (c *inquiry) place(ctx context.Context, topic string) ([]int32, error) {
	keys := map[string]bool{}
	for _, o := range c.found {
		if o.keyless { // what the transform stage gives up of it has no key either, and is anywhere
			return nil, nil
		}
		keys[o.Key] = true
	}
	if len(c.found) == 0 && c.q.Key != "" {
		keys[c.q.Key] = true
	}
	var out []int32
	for key := range keys {
		if key == "" { // it cannot be read
			return nil, nil
		}
		p, err := c.x.cfg.Reader.Place(ctx, topic, key)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// earliest is the lowest of a range's From and a group's first undone message.
func earliest(ranges map[int32]infra.Range, progress map[int32]infra.Progress, only []int32) {
	for p, at := range progress {
		if only != nil && !slices.Contains(only, p) || at.Undone() == 0 {
			continue
		}
		r, ok := ranges[p]
		if !ok {
			r = infra.Range{From: math.MaxInt64, To: at.End}
		}
		r.From, r.To = min(r.From, at.Next), max(r.To, at.End)
		ranges[p] = r
	}
}
