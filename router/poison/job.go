package poison

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/time/rate"

	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/plural"
	"eventserver/router/record"
)

const (
	actionRedrive = "redrive"
	actionDiscard = "discard"

	defaultRate        = 100.0
	defaultMaxRedrives = 3

	maxFirst    = 20
	maxProblems = 100
)

// job is one run over one destination's queue.
type job struct {
	s           *Service
	h           *handle
	q           *index
	destination string
	order       Order
	match       *filter
	lease       *lease // nil in a dry run
	limiter     *rate.Limiter
	batch       int // items that are sent before their marks are written

	blocked map[uint64]struct{}   // keys of which an item stays
	aside   map[uint64][]sequence // items of keys that are out of order
	pending []step
	bytes   int  // of pending
	unsure  bool // something was sent, or may have been, that has no mark
}

// sequence is where an item is, and its place among those of its key.
type sequence struct {
	at       record.Position
	sequence int64
}

// step is what is to be done with one item.
type step struct {
	key  string
	mark record.Mark
	rec  *sent // nil: only the mark
}

// run does what was ordered. Whoever is not sure that all that was sent is
// marked leaves the lease: the next run looks it up.
func (j *job) run(ctx context.Context) (err error) {
	if !j.order.DryRun {
		if j.lease, err = j.s.acquire(ctx, j.destination, j.h.run.ID, j.order.Action, j.h.run.By); err != nil {
			return err
		}
		defer func() {
			if j.unsure || errors.Is(err, errLost) {
				return
			}
			if end := j.lease.end(j.h.run.ID); end != nil {
				err = errors.Join(err, fmt.Errorf("the run's end could not be noted, which holds up the next one for %s: %w", leaseStale, end))
			}
		}()
	}
	if _, err := j.q.refresh(ctx); err != nil {
		return err
	}
	if j.lease != nil {
		if err := j.recover(ctx); err != nil {
			return err
		}
	}
	err = j.s.scanParts(ctx, j.destination, j.match, record.Position{},
		func(e *entry) error { return j.one(ctx, e) }, func() error { return j.partition(ctx) })
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// one decides what becomes of an item, in the order of the queue.
func (j *job) one(ctx context.Context, e *entry) error {
	if j.lease != nil { // a queue may be long
		if err := j.lease.hold(ctx); err != nil {
			return err
		}
	}
	if e.mixed && j.order.Action == actionRedrive {
		key := j.s.hash(e.Key)
		j.aside[key] = append(j.aside[key], sequence{e.at, e.Sequence})
		return nil
	}
	return j.decide(ctx, e)
}

// partition ends one: what was put aside is next, each key in the order of its
// events, and then the rest is sent.
func (j *job) partition(ctx context.Context) error {
	lists := make([][]sequence, 0, len(j.aside))
	for _, list := range j.aside {
		lists = append(lists, list)
	}
	clear(j.aside)
	slices.SortFunc(lists, func(a, b []sequence) int { return cmp.Compare(a[0].at.Offset, b[0].at.Offset) })
	for _, list := range lists {
		slices.SortStableFunc(list, func(a, b sequence) int { return cmp.Compare(a.sequence, b.sequence) })
		for _, item := range list {
			r := infra.Range{From: item.at.Offset, To: item.at.Offset + 1}
			if err := j.s.part(ctx, j.destination, j.q, j.match, item.at.Partition, r, func(e *entry) error { return j.decide(ctx, e) }); err != nil {
				return err
			}
		}
	}
	return j.flush(ctx)
}

func (j *job) decide(ctx context.Context, e *entry) error {
	if n := j.order.Limit; n > 0 && j.h.settled()+len(j.pending) >= n {
		return errors.Join(j.flush(ctx), errEnough)
	}
	j.note(func(r *Run) {
		r.Matched++
		if j.order.DryRun && len(r.First) < maxFirst {
			r.First = append(r.First, e.item())
		}
	})
	s := step{key: e.Key, mark: record.Mark{Kind: record.MarkDiscarded, Of: e.at, By: j.h.run.By, Run: j.h.run.ID, EventID: e.EventID}}
	if j.order.Action == actionDiscard {
		return j.add(ctx, s)
	}
	if j.isBlocked(e.Key) && !j.order.Force && !j.match.singly() {
		j.leave(e, "an earlier item of its key stays; mend or discard that one, or redrive this one by its event id", func(r *Run) { r.Behind++ })
		return nil
	}
	if most := *j.order.MaxRedrives; e.Redrives >= most && !j.order.Force {
		j.leave(e, fmt.Sprintf("it was redriven %s already; find out why it comes back, or redrive it with force", plural.Count(e.Redrives, "time")), func(r *Run) { r.Refused++ })
		return nil
	}
	if e.LeftOut != nil {
		if err := j.s.complete(ctx, e); err != nil {
			var gone *goneError
			if !errors.As(err, &gone) {
				return err
			}
			j.leave(e, gone.Error()+"; it cannot be redriven", func(r *Run) { r.Failed++ })
			return nil
		}
	}
	r := record.Redrive{Of: e.at, Run: j.h.run.ID, At: j.s.cfg.Now()}
	s.mark.Kind = record.MarkRedriven
	if !e.Transforms() {
		s.rec = &sent{msg: record.Redriven(e.msg, r), e: e}
		return j.add(ctx, s)
	}
	rec, err := j.transform(ctx, e, r)
	switch {
	case err == nil:
		s.rec = &sent{msg: rec, e: e}
	case ctx.Err() != nil:
		return ctx.Err()
	case router.Skipped(err):
		s.mark.Kind = record.MarkSkipped
	default:
		reason, text := router.Failure(err, e.msg)
		j.leave(e, reason+" again: "+text, func(r *Run) { r.Failed++ })
		return nil
	}
	return j.add(ctx, s)
}

// transformTimeout bounds a transformation, so that one that hangs does not
// hold the queue.
const transformTimeout = 10 * time.Second

func (j *job) transform(ctx context.Context, e *entry, r record.Redrive) (*message.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, transformTimeout)
	defer cancel()
	return j.s.cfg.Again(ctx, j.destination, e.msg, r)
}

func (j *job) add(ctx context.Context, s step) error {
	j.pending = append(j.pending, s)
	if s.rec != nil {
		j.bytes += len(s.rec.msg.Payload)
	}
	if len(j.pending) < j.batch && j.bytes < maxBytes {
		return nil
	}
	return j.flush(ctx)
}

// leave keeps an item where it is, and with it what follows of its key.
func (j *job) leave(e *entry, why string, count func(*Run)) {
	if e.Key != "" {
		j.blocked[j.s.hash(e.Key)] = struct{}{}
	}
	j.note(func(r *Run) {
		count(r)
		if len(r.Problems) < maxProblems {
			r.Problems = append(r.Problems, Problem{Destination: j.destination, Position: e.at.String(), EventID: e.EventID, Why: why})
		}
	})
}

func (j *job) isBlocked(key string) bool {
	_, is := j.blocked[j.s.hash(key)]
	return is && key != ""
}

func (j *job) note(f func(*Run)) { j.h.update(f) }
