package poison

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/record"
)

// entry is a record of a poison queue that is being looked at.
type entry struct {
	record.GivenUp
	msg   *message.Message
	at    record.Position
	when  time.Time // it was given up
	mixed bool      // its key's items are in another order than their sequence
}

func (e *entry) item() Item {
	return Item{
		Destination: e.Destination, Position: e.at.String(), EventID: e.EventID, Key: e.Key, Type: e.EventType, Stage: e.Stage,
		Class: record.ClassOf(e.Reason), Reason: e.Reason, Detail: e.Detail, Attempts: e.Attempts,
		First: e.First, Last: e.Last, ReceivedAt: e.ReceivedAt, PoisonedAt: e.when.UTC(), Sequence: e.Sequence, Redrives: e.Redrives, Size: e.Size,
		LeftOut: e.LeftOut, Source: e.Source.String(),
	}
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// scan hands f what waits in a destination's queue and matches, by partition and
// offset, beginning at from. What comes later is not seen.
func (s *Service) scan(ctx context.Context, d string, m *filter, from record.Position, f func(*entry) error) error {
	return s.scanParts(ctx, d, m, from, f, func() error { return nil })
}

// scanParts is scan, and calls after at the end of each partition.
func (s *Service) scanParts(ctx context.Context, d string, m *filter, from record.Position, f func(*entry) error, after func() error) error {
	q := s.queue(d)
	ranges, err := q.refresh(ctx)
	if err != nil {
		return err
	}
	if err := s.since(ctx, q.topic, m.since, ranges); err != nil {
		return err
	}
	for _, p := range slices.Sorted(maps.Keys(ranges)) {
		r := ranges[p]
		switch {
		case p < from.Partition, m.at != nil && m.at.Partition != p:
			continue
		case p == from.Partition:
			r.From = max(r.From, from.Offset)
		}
		if m.at != nil {
			r = infra.Range{From: max(r.From, m.at.Offset), To: min(r.To, m.at.Offset+1)}
		}
		if r.From >= r.To {
			continue
		}
		if err := s.part(ctx, d, q, m, p, r, f); err != nil {
			return err
		}
		if err := after(); err != nil {
			return err
		}
	}
	return nil
}

// since begins ranges with what was stored then.
func (s *Service) since(ctx context.Context, topic string, since time.Time, ranges map[int32]infra.Range) error {
	if since.IsZero() {
		return nil
	}
	bounds, err := s.cfg.Broker.Bounds(ctx, topic, since)
	if err != nil {
		return err
	}
	for p, r := range ranges {
		r.From = max(r.From, bounds[p].At)
		ranges[p] = r
	}
	return nil
}

func (s *Service) part(ctx context.Context, d string, q *index, m *filter, p int32, r infra.Range, f func(*entry) error) error {
	return infra.Readable(s.cfg.Broker.Scan(ctx, q.topic, map[int32]infra.Range{p: r}, func(msg *message.Message, when time.Time) error {
		e := &entry{GivenUp: record.DecodePoison(d, msg), msg: msg, at: record.PositionOf(msg), when: when}
		waits, mixed, err := q.open(ctx, e.at, e.Key)
		if err != nil || !waits || !m.match(e.GivenUp, e.at, when) {
			return err
		}
		e.mixed = mixed
		return f(e)
	}))
}

// List returns what is not settled, by destination, partition and offset.
func (s *Service) List(ctx context.Context, q Query) (Page, error) {
	page := Page{Items: []Item{}}
	m, err := parse(q.Filter, s.cfg.Now())
	if err != nil {
		return page, err
	}
	first, from, err := cursor(q.After)
	if err != nil {
		return page, err
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	if first != "" && !slices.Contains(s.targets(q.Destination), first) {
		return page, invalid(fmt.Sprintf("after: %.60q is of a destination that is not asked for, or not configured any more; begin again without after", q.After))
	}
	skipping := first != ""
	err = s.each(q.Destination, func(d string) error {
		if skipping && d != first {
			return nil
		}
		begin := record.Position{}
		if skipping {
			begin, skipping = from, false
		}
		return s.scan(ctx, d, m, begin, func(e *entry) error {
			if len(page.Items) == q.Limit {
				page.Next = d + "/" + e.at.String()
				return errEnough
			}
			page.Items = append(page.Items, e.item())
			return nil
		})
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return page, err
}

// cursor reads where a page begins.
func cursor(s string) (destination string, at record.Position, err error) {
	if s == "" {
		return "", at, nil
	}
	destination, pos, _ := strings.Cut(s, "/")
	if at, err = record.ParsePosition(pos); err != nil || destination == "" {
		return "", at, invalid(fmt.Sprintf("after: %.60q is not the next of a page", s))
	}
	return destination, at, nil
}

// Counts counts what is not settled.
func (s *Service) Counts(ctx context.Context, f Filter) (Counts, error) {
	out := Counts{Destinations: []Total{}}
	m, err := parse(f, s.cfg.Now())
	if err != nil {
		return out, err
	}
	err = s.each(f.Destination, func(d string) error {
		total := Total{Destination: d, Reasons: []Count{}}
		reasons := map[string]int{}
		err := s.scan(ctx, d, m, record.Position{}, func(e *entry) error {
			reasons[e.Reason]++
			total.Count++
			if total.Oldest.IsZero() || e.when.Before(total.Oldest) {
				total.Oldest = e.when.UTC()
			}
			if e.when.After(total.Newest) {
				total.Newest = e.when.UTC()
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, reason := range slices.Sorted(maps.Keys(reasons)) {
			total.Reasons = append(total.Reasons, Count{Class: record.ClassOf(reason), Reason: reason, Count: reasons[reason]})
		}
		out.Count += total.Count
		out.Destinations = append(out.Destinations, total)
		return nil
	})
	return out, err
}

// Waiting counts the items of a destination that are not settled. It reads what is
// new since the queue was last looked at, and keeps no record.
func (s *Service) Waiting(ctx context.Context, destination string) (int64, error) {
	q := s.queue(destination)
	_, err := q.refresh(ctx)
	switch {
	case errors.Is(err, infra.ErrNoTopic): // nothing was ever given up
		return 0, nil
	case err != nil:
		return 0, err
	}
	return q.waits(ctx)
}

// maxShown bounds what Show keeps: an id may be in a queue again and again.
const maxShown = 100

// Show returns the records of item, an event's id or partition:offset, those that
// are settled too; of every destination with "". payload adds what they carry.
func (s *Service) Show(ctx context.Context, destination, item string, payload bool) (Found, error) {
	out := Found{Records: []Record{}}
	var partial []*entry // of the records, those of which parts are left out; nil: others
	marks := map[string]*Mark{}
	err := s.each(destination, func(d string) error {
		topic := record.PoisonTopic(d)
		bounds, err := s.cfg.Broker.Bounds(ctx, topic, time.Time{})
		if err != nil {
			return err
		}
		ranges := map[int32]infra.Range{}
		for p, b := range bounds {
			ranges[p] = infra.Range{From: b.Oldest, To: b.End}
		}
		return infra.Readable(s.cfg.Broker.Scan(ctx, topic, ranges, func(msg *message.Message, when time.Time) error {
			at := record.PositionOf(msg)
			if mark, is := record.DecodeMark(msg); is {
				of := mark.Of.String()
				if marks[of] == nil && (mark.EventID == item || of == item) {
					marks[of] = &Mark{Mark: mark.Kind, By: mark.By, Run: mark.Run, At: mark.At, Position: at.String()}
				}
				return nil
			}
			e := &entry{GivenUp: record.DecodePoison(d, msg), msg: msg, at: at, when: when}
			if e.EventID == item || at.String() == item {
				out.Records = append(out.Records, recordOf(e, payload))
				if e.LeftOut == nil {
					e = nil
				}
				if partial = append(partial, e); len(partial) > maxShown {
					out.Records, partial = out.Records[1:], partial[1:]
				}
			}
			return nil
		}))
	})
	if err != nil {
		return out, err
	}
	if len(out.Records) == 0 {
		if destination == "" {
			destination = "every destination"
		}
		return out, notFound(fmt.Sprintf("the poison queue of %s has no event %.60q and nothing at that position", destination, item))
	}
	for i := range out.Records {
		if e := partial[i]; e != nil {
			if out.Records[i], err = s.fromSource(ctx, e, payload); err != nil {
				return out, err
			}
		}
		out.Records[i].Settled = marks[out.Records[i].Position]
	}
	slices.SortStableFunc(out.Records, func(a, b Record) int { return a.PoisonedAt.Compare(b.PoisonedAt) })
	return out, nil
}

func recordOf(e *entry, payload bool) Record {
	r := Record{Item: e.item(), Headers: record.PoisonHeaders(e.msg, payload)}
	body := []byte(e.msg.Payload)
	switch {
	case !payload:
	case utf8.Valid(body) && json.Valid(body):
		r.Data = body
	default:
		r.DataBase64 = body
	}
	return r
}
