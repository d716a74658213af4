package explain

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/plural"
	"eventserver/router/record"
)

// errEnough ends a scan that has read as much as it may.
var errEnough = errors.New("enough")

// search reads one topic for one question, no record twice.
type search struct {
	c     *inquiry
	topic string
	read  map[int32][]infra.Range // by partition, in order, none touches the next
	count int64                   // of all of its scans
	until time.Time               // no record is read after that; zero: no limit
}

// scan hands f the records of the ranges that were not read before, of each
// partition the later ones first: an event is stored after it was made. early:
// there was more than MaxRecords or more than the time allows, and the rest was
// left out.
func (s *search) scan(ctx context.Context, ranges map[int32]infra.Range, f func(m *message.Message, at time.Time)) (n int64, early bool, err error) {
	const clockEvery = 256 // records
	for part := s.unread(ranges); len(part) > 0 && !early; part = s.unread(ranges) {
		err := s.c.x.cfg.Reader.Scan(ctx, s.topic, part, func(m *message.Message, at time.Time) error {
			if s.count >= s.c.x.cfg.MaxRecords || s.count%clockEvery == 0 && !s.until.IsZero() && time.Now().After(s.until) {
				return errEnough
			}
			s.count++
			n++
			f(m, at)
			return nil
		})
		var damage *infra.DamageError
		switch {
		case errors.Is(err, errEnough):
			early = true
		case errors.As(err, &damage):
			s.c.unreadable(s.topic, damage)
		case err != nil:
			return n, early, err
		}
		for p, r := range part {
			s.read[p] = join(s.read[p], r)
		}
	}
	return n, early, nil
}

// unread is the last part of each range that was not read yet.
func (s *search) unread(ranges map[int32]infra.Range) map[int32]infra.Range {
	if s.read == nil {
		s.read = map[int32][]infra.Range{}
	}
	part := map[int32]infra.Range{}
	for p, r := range ranges {
		if r, ok := lastOutside(r, s.read[p]); ok {
			part[p] = r
		}
	}
	return part
}

// lastOutside is the last run of r that is in none of the given ranges.
func lastOutside(r infra.Range, read []infra.Range) (infra.Range, bool) {
	for _, have := range slices.Backward(read) {
		switch {
		case have.To < r.To && have.To > r.From:
			r.From = have.To // what is above it is first
		case have.To >= r.To && have.From < r.To:
			r.To = have.From
		}
	}
	return r, r.From < r.To
}

// join adds r, which is in none of the ranges.
func join(read []infra.Range, r infra.Range) []infra.Range {
	i, _ := slices.BinarySearchFunc(read, r.From, func(a infra.Range, from int64) int { return cmp.Compare(a.From, from) })
	read = slices.Insert(read, i, r)
	out := read[:1]
	for _, next := range read[1:] {
		if last := &out[len(out)-1]; last.To == next.From {
			last.To = next.To
		} else {
			out = append(out, next)
		}
	}
	return out
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

// accepted finds the records of the event in the topic of events: first where the
// time in its id says, then in the whole topic, the newest first.
func (c *inquiry) accepted(ctx context.Context) error {
	places := [][]int32{nil}
	if c.q.Key != "" {
		p, err := c.x.cfg.Reader.Place(ctx, record.EventsTopic, c.q.Key)
		if err != nil {
			return err
		}
		places = [][]int32{{p}, nil} // another program may have put it elsewhere
	}
	s := &search{c: c, topic: record.EventsTopic}
	for _, w := range c.likely() {
		for _, only := range places {
			if done, err := c.look(ctx, s, w, only); done || err != nil {
				return err
			}
		}
	}
	s.until = time.Now().Add(c.x.cfg.Patience)
	for _, only := range places {
		done, err := c.look(ctx, s, window{from: c.q.Since}, only)
		if done || err != nil || len(c.found) > 0 { // with another key than the one that was given
			return err
		}
	}
	return nil
}

// firstLook is how many of the newest records of a partition are read first. If
// they do not have the event, twice as many are.
const firstLook = 4096

// look searches a window. done: the event was found, or no more may be read.
func (c *inquiry) look(ctx context.Context, s *search, w window, only []int32) (done bool, err error) {
	all, gone, err := c.ranges(ctx, record.EventsTopic, w, only)
	if err != nil {
		return false, err
	}
	c.gone = c.gone || gone
	searched := SearchedTopic{Topic: record.EventsTopic, Partitions: len(all), From: w.from, To: w.to}
	for size, more := int64(firstLook), true; more && !done; size *= 2 {
		more = false
		part := make(map[int32]infra.Range, len(all))
		for p, r := range all {
			from := r.From
			if w.to.IsZero() { // with an end it is small
				from = max(from, r.To-size)
			}
			part[p] = infra.Range{From: from, To: r.To}
			more = more || from > r.From
		}
		n, early, err := s.scan(ctx, part, c.occurs)
		if err != nil {
			return false, err
		}
		searched.Records += n
		if early {
			c.early = true
			c.note("The search of the topic of events ended after %s; narrow it with --key and --since.", plural.Count(s.count, "record"))
		}
		done = c.early || slices.ContainsFunc(c.found, func(o occurrence) bool { return c.q.Key == "" || o.Key == c.q.Key })
	}
	c.read = s.count
	c.out.Searched = append(c.out.Searched, searched)
	c.settle()
	return done, nil
}

// retrace reads the event where the records that were made of it say it is, if it
// was not found there yet.
func (c *inquiry) retrace(ctx context.Context) error {
	for _, o := range c.found {
		delete(c.origins, origin{o.Key, o.Offset})
	}
	if len(c.origins) == 0 {
		return nil
	}
	bounds, err := c.x.cfg.Reader.Bounds(ctx, record.EventsTopic, time.Time{})
	if err != nil {
		return err
	}
	for o := range c.origins {
		p, err := c.x.cfg.Reader.Place(ctx, record.EventsTopic, o.key)
		if err != nil {
			return err
		}
		if b := bounds[p]; o.sequence < b.Oldest || o.sequence >= b.End {
			continue
		}
		s := &search{c: c, topic: record.EventsTopic}
		if _, _, err := s.scan(ctx, map[int32]infra.Range{p: {From: o.sequence, To: o.sequence + 1}}, c.occurs); err != nil {
			return err
		}
	}
	c.settle()
	return nil
}

// occurs takes a record of the topic of events, if it is one of the event.
func (c *inquiry) occurs(m *message.Message, at time.Time) {
	if record.EventID(m) != c.q.ID {
		return
	}
	e, err := record.DecodeEvent(m)
	o := occurrence{event: e, err: err, orderKey: record.OrderKey(m), keyless: m.Metadata.Get(infra.MetaKey) == "", AcceptedAt: AcceptedAt{
		Topic: record.EventsTopic, Partition: infra.Partition(m), Offset: infra.Offset(m), Stored: at.UTC(), Received: e.ReceivedAt.UTC(),
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
	}
	return c.q.Since
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
