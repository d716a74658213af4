package explain

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/record"
)

// evidence is what the topics and groups say of the event at one destination.
type evidence struct {
	dest        *router.Destination
	id          string
	last        *occurrence              // of the event; nil: its record is deleted
	transformed map[int32]infra.Progress // of the topic of events
	delivered   map[int32]infra.Progress // of the destination's topic
	records     []destRecord             // of the event, by time
	others      []predecessor            // of its key, not done when they were looked for
	poison      []PoisonedAttempt        // by time
	gone        bool                     // records of its time are deleted from the destination's topic
}

// destRecord is a record of the event in the destination's topic.
type destRecord struct {
	DeliveryRecord
	orderKey string
	redrive  record.Position
}

// predecessor is a record of the same key, or partition.
type predecessor struct {
	id        string
	orderKey  string
	partition int32
	offset    int64
}

// mostOthers bounds what is kept of a partition, where order is that of partitions.
const mostOthers = 1000

// destination asks in the order in which records move on: what a group has done
// when it is asked has left its traces in what is read after that.
func (c *inquiry) destination(ctx context.Context, d *router.Destination, transformed map[int32]infra.Progress) (DestinationExplanation, error) {
	e := &evidence{dest: d, id: d.Destination.ID(), transformed: transformed}
	if n := len(c.found); n > 0 {
		e.last = &c.found[n-1]
	}
	err := c.records(ctx, e)
	if err == nil {
		e.delivered, err = infra.ProgressOf(ctx, c.x.cfg.Groups, record.DeliverGroup(e.id), record.DestinationTopic(e.id))
	}
	if errors.Is(err, infra.ErrNoTopic) { // it is in the configuration, and no server has run with it
		e.gone = false
	} else if err != nil {
		return DestinationExplanation{}, err
	}
	if err := c.poisoned(ctx, e); err != nil && !errors.Is(err, infra.ErrNoTopic) {
		return DestinationExplanation{}, err
	}
	return c.judge(ctx, e)
}

// limited scans a topic of a destination for traces of the event.
func (c *inquiry) limited(ctx context.Context, topic string, ranges map[int32]infra.Range, only []int32, f func(m *message.Message, at time.Time)) error {
	s := &search{c: c, topic: topic}
	early := false
	if w, ok := c.firstOf(); ok {
		likely, _, err := c.ranges(ctx, topic, w, only)
		if err != nil {
			return err
		}
		for p, r := range likely {
			likely[p] = infra.Range{From: max(r.From, ranges[p].From), To: min(r.To, ranges[p].To)}
		}
		if _, early, err = s.scan(ctx, likely, f); err != nil {
			return err
		}
	}
	if !early {
		var err error
		if _, early, err = s.scan(ctx, ranges, f); err != nil {
			return err
		}
	}
	if early {
		c.endedEarly(topic, s.count)
	}
	c.mu.Lock()
	c.out.Searched = append(c.out.Searched, SearchedTopic{Topic: topic, Partitions: len(ranges), From: c.from(), Records: s.count})
	c.mu.Unlock()
	return nil
}

func (c *inquiry) records(ctx context.Context, e *evidence) error {
	topic := record.DestinationTopic(e.id)
	only, err := c.place(ctx, topic)
	if err != nil {
		return err
	}
	done, err := infra.ProgressOf(ctx, c.x.cfg.Groups, record.DeliverGroup(e.id), topic)
	if err != nil {
		return err
	}
	var ranges map[int32]infra.Range
	if ranges, e.gone, err = c.ranges(ctx, topic, window{from: c.from()}, only); err != nil {
		return err
	}
	earliest(ranges, done, only) // what it may wait behind is older
	keys := map[string]bool{}
	for _, o := range c.found {
		keys[o.Key] = true
	}
	err = c.limited(ctx, topic, ranges, only, func(m *message.Message, at time.Time) {
		p, offset := infra.Partition(m), infra.Offset(m)
		id := record.EventID(m)
		if key := record.OrderKey(m); id != c.q.ID {
			ordered := keys[key] || len(keys) == 0 && key == c.q.Key
			if c.x.cfg.ByPartition {
				ordered = len(e.others) < mostOthers
			}
			if ordered && !done[p].Done(offset) {
				e.others = append(e.others, predecessor{id, key, p, offset})
			}
			return
		}
		if !e.ours(m.Metadata.Get(infra.MetaKey)) {
			return
		}
		c.cameFrom(m)
		r := destRecord{orderKey: record.OrderKey(m), DeliveryRecord: DeliveryRecord{
			Partition: p, Offset: offset, Stored: at.UTC(), Sequence: record.Sequence(m),
		}}
		r.redrive = record.Position{Partition: -1, Offset: -1}
		if of, is := record.DecodeRedrive(m); is {
			r.redrive, r.RedriveOf = of.Of, of.Of.String()
		}
		e.records = append(e.records, r)
	})
	slices.SortStableFunc(e.records, func(a, b destRecord) int { return a.Stored.Compare(b.Stored) })
	slices.SortFunc(e.others, func(a, b predecessor) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	return err
}

func (c *inquiry) poisoned(ctx context.Context, e *evidence) error {
	topic := record.PoisonTopic(e.id)
	only, err := c.place(ctx, topic)
	if err != nil {
		return err
	}
	ranges, _, err := c.ranges(ctx, topic, window{from: c.from()}, only)
	if err != nil {
		return err
	}
	marks := map[record.Position]record.Mark{}
	err = c.limited(ctx, topic, ranges, only, func(m *message.Message, at time.Time) {
		if mark, is := record.DecodeMark(m); is {
			if mark.EventID == c.q.ID || mark.EventID == "" {
				marks[mark.Of] = mark
			}
			return
		}
		if record.EventID(m) != c.q.ID || !e.ours(m.Metadata.Get(infra.MetaKey)) {
			return
		}
		c.cameFrom(m)
		g := record.DecodePoison(e.id, m)
		e.poison = append(e.poison, PoisonedAttempt{
			Partition: infra.Partition(m), Offset: infra.Offset(m), Stored: at.UTC(), Stage: g.Stage, Class: record.ClassOf(g.Reason),
			Reason: g.Reason, Detail: g.Detail, Attempts: g.Attempts, First: g.First.UTC(), Last: g.Last.UTC(),
		})
	})
	for i := range e.poison {
		p := &e.poison[i]
		if m, ok := marks[record.Position{Partition: p.Partition, Offset: p.Offset}]; ok {
			p.Mark, p.MarkedBy, p.MarkedAt = m.Kind, m.By, m.At.UTC()
		}
	}
	slices.SortStableFunc(e.poison, func(a, b PoisonedAttempt) int { return a.Stored.Compare(b.Stored) })
	return err
}

// ours reports whether a record with the event's id is of the last occurrence's
// user: several may have events of one id.
func (e *evidence) ours(key string) bool {
	return e.last == nil || e.last.err != nil || key == "" || key == e.last.Key
}

// lastRecord is the one that counts: the last of the last occurrence. nil: there
// is none.
func (e *evidence) lastRecord() *destRecord {
	for i := len(e.records) - 1; i >= 0; i-- {
		if r := &e.records[i]; e.last == nil || r.Sequence == e.last.Offset || r.Sequence < 0 {
			return r
		}
	}
	return nil
}

// givenUp is the poison record of the stage that is not older than since, or nil.
func (e *evidence) givenUp(transform bool, since time.Time, not record.Position) *PoisonedAttempt {
	for i := len(e.poison) - 1; i >= 0; i-- {
		p := &e.poison[i]
		is := (record.GivenUp{Stage: p.Stage}).Transforms()
		if is == transform && !p.Stored.Before(since) && (record.Position{Partition: p.Partition, Offset: p.Offset}) != not {
			return p
		}
	}
	return nil
}

// undoneBelow counts what a group has not done of a partition before offset.
func undoneBelow(p infra.Progress, offset int64) int64 {
	n := max(offset-p.Next, 0)
	for _, s := range p.Above {
		n -= max(min(s.To, offset)-min(s.From, offset), 0)
	}
	return max(n, 0)
}
