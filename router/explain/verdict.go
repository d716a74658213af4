package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router"
	"eventserver/router/attempt"
	"eventserver/router/plural"
	"eventserver/router/record"
)

// judge says what became of the event at one destination.
func (c *inquiry) judge(ctx context.Context, e *evidence) (DestinationExplanation, error) {
	v := &DestinationExplanation{ID: e.id, Kind: e.dest.Kind, Limit: e.dest.Retry.WithDefaults().Attempts,
		Records: []DeliveryRecord{}, Poison: e.poison}
	if v.Poison == nil {
		v.Poison = []PoisonedAttempt{}
	}
	for _, r := range e.records {
		r.Done = e.delivered[r.Partition].Done(r.Offset)
		v.Records = append(v.Records, r.DeliveryRecord)
	}
	var err error
	switch r := e.lastRecord(); {
	case r == nil:
		err = c.judgeEvent(ctx, e, v)
	case r.Offset < e.delivered[r.Partition].Oldest: // while we looked
		v.State, v.Why = StateTrimmed, "its record was deleted a moment ago"
	case e.delivered[r.Partition].Done(r.Offset):
		c.judgeDone(e, r, v)
	default:
		err = c.judgeUndone(ctx, e, r, v)
	}
	return *v, err
}

// finish is how the live scheduler remembers the end of what was stored at the
// given time.
func (c *inquiry) finish(e *evidence, stored time.Time) *attempt.Finish {
	if c.x.cfg.Live == nil {
		return nil
	}
	key := "" // any
	if e.last != nil {
		key = e.last.Key
	}
	for _, f := range c.x.cfg.Live.Recent(e.id, c.q.ID, key) {
		if !f.At.Before(stored) {
			return &f
		}
	}
	return nil
}

// judgeDone: the record is done, one way or the other.
func (c *inquiry) judgeDone(e *evidence, r *destRecord, v *DestinationExplanation) {
	f := c.finish(e, r.Stored)
	if p := e.givenUp(false, r.Stored, r.redrive); p != nil && (f == nil || f.Outcome == metrics.Poisoned) {
		c.given(e, p, v)
		return
	}
	switch {
	case f == nil:
		v.State, v.Why = StateDelivered, "delivered before now; the time is not known any more (a destination that skips an event when it is sent leaves the same trace)"
		if !c.out.Live {
			v.Why = "delivered; only the server that did it knows when (a destination that skips an event when it is sent leaves the same trace)"
		}
	case f.Outcome == metrics.Poisoned: // after the poison queue was read
		v.State, v.Stage, v.Since, v.Attempts = StatePoisoned, "deliver", f.At.UTC(), f.Attempts
		v.Why = fmt.Sprintf("given up a moment ago, at %s, after %s", clock(f.At), plural.Count(f.Attempts, "attempt"))
		v.Do = "ask again: the poison queue has why"
	case f.Outcome == metrics.Skipped:
		v.State, v.Since, v.Attempts = StateFiltered, f.At.UTC(), f.Attempts
		v.Why = "the destination itself skipped it, at " + clock(f.At)
	default:
		v.State, v.DeliveredAt, v.Since, v.Attempts = StateDelivered, f.At.UTC(), f.At.UTC(), f.Attempts
		v.Why = fmt.Sprintf("delivered at %s, at attempt %d", clock(f.At), f.Attempts)
	}
}

// given: it stands in the poison queue.
func (c *inquiry) given(e *evidence, p *PoisonedAttempt, v *DestinationExplanation) {
	v.State, v.Stage, v.Reason, v.Attempts, v.LastAnswer, v.Since = StatePoisoned, p.Stage, p.Reason, p.Attempts, p.Detail, p.Stored
	what := fmt.Sprintf("given up after %s (%s): %s", plural.Count(p.Attempts, "attempt"), p.Reason, p.Detail)
	if p.Class == record.ClassPipeline {
		what = fmt.Sprintf("given up before it was sent, in the %s stage (%s): %s", p.Stage, p.Reason, p.Detail)
	}
	by := ""
	if p.MarkedBy != "" {
		by = " by " + p.MarkedBy
	}
	switch p.Mark {
	case record.MarkDiscarded:
		v.State, v.Since, v.Why = StateDiscarded, p.MarkedAt, fmt.Sprintf("discarded%s at %s; %s", by, clock(p.MarkedAt), what)
	case record.MarkSkipped:
		v.State, v.Since, v.Why = StateFiltered, p.MarkedAt, fmt.Sprintf("redriven%s at %s: the destination does not want it any more; it was %s", by, clock(p.MarkedAt), what)
	case record.MarkRedriven:
		if e.gone {
			v.State, v.Since, v.Why = StateTrimmed, p.MarkedAt, fmt.Sprintf("redriven%s at %s, and the record of that is deleted: delivered, most likely; before, it was %s", by, clock(p.MarkedAt), what)
			return
		}
		v.State, v.Since, v.Why = StateWaiting, p.MarkedAt, fmt.Sprintf("redriven%s at %s, and its new record is not found; it was %s", by, clock(p.MarkedAt), what)
	default:
		v.Why = what
		fix := "fix the receiver"
		if p.Class == record.ClassPipeline {
			fix = "fix the destination's filter, transform or schema"
		}
		v.Do = fmt.Sprintf("%s, then: eventserver poison redrive --destination %s%s", fix, e.id, c.meant())
	}
}

// judgeEvent: there is no record of it in the destination's topic.
func (c *inquiry) judgeEvent(ctx context.Context, e *evidence, v *DestinationExplanation) error {
	if e.last == nil {
		if f := c.finish(e, time.Time{}); f != nil && f.Outcome != metrics.Poisoned {
			c.judgeDone(e, &destRecord{}, v)
			return nil
		}
		if p := e.givenUp(true, time.Time{}, record.Position{Partition: -1}); p != nil {
			c.given(e, p, v)
			return nil
		}
		if p := e.givenUp(false, time.Time{}, record.Position{Partition: -1}); p != nil {
			c.given(e, p, v)
			return nil
		}
		v.State, v.Why = StateTrimmed, "its record in the topic of events is deleted, and there is no trace of it here"
		return nil
	}
	progress := e.transformed[e.last.Partition]
	if progress.Oldest > e.last.Offset {
		v.State, v.Why = StateTrimmed, "its record in the topic of events is being deleted, and there is no trace of it here"
		return nil
	}
	if !progress.Done(e.last.Offset) {
		return c.untransformed(ctx, e, progress, v)
	}
	if p := e.givenUp(true, e.last.Stored.Truncate(time.Millisecond), record.Position{Partition: -1}); p != nil {
		c.given(e, p, v)
		return nil
	}
	if f := c.finish(e, e.last.Stored.Truncate(time.Millisecond)); f != nil && f.Outcome != metrics.Poisoned {
		c.judgeDone(e, &destRecord{DeliveryRecord: DeliveryRecord{Stored: e.last.Stored.Truncate(time.Millisecond)}}, v)
		return nil
	}
	if p := e.givenUp(false, e.last.Stored.Truncate(time.Millisecond), record.Position{Partition: -1}); p != nil { // the record that it was is deleted
		c.given(e, p, v)
		return nil
	}
	if c.before(e) {
		v.State, v.Why = StateNothing, "it was accepted before the destination began (destinations[].from), and only a replay sends such an event"
		v.Do = "if it should be sent: eventserver replay " + e.id + " --since " + e.last.Stored.Format(time.RFC3339) + " (with --dry-run first)"
		return nil
	}
	if e.last.err != nil {
		v.State, v.Why = StateNothing, "its record cannot be read as an event, and it is not in the poison queue: "+e.last.err.Error()
		return nil
	}
	unwanted, err := e.dest.Wants(ctx, e.last.event)
	switch {
	case unwanted != "":
		v.State, v.Why = StateFiltered, "the destination does not want it, as it is configured now: "+unwanted
		v.Do = "nothing, if that is meant; otherwise change the configuration, reload it, and: eventserver replay " + e.id + " --since " + e.last.Stored.Format(time.RFC3339)
	case e.gone:
		v.State, v.Why = StateTrimmed, "it was sent on, and the record of that is deleted: delivered, most likely, before the oldest record there is"
	default:
		would := "sent"
		if err != nil {
			would = "poisoned"
		}
		v.State, v.Why = StateNothing, "it was passed over when it was transformed"+c.orUnreadable(record.DestinationTopic(e.id))+"; as the destination is configured now, it would be "+would
		v.Do = "if it should be sent: eventserver replay " + e.id + " --since " + e.last.Stored.Format(time.RFC3339) + " (with --dry-run first)"
	}
	return nil
}

// before reports whether the event was accepted before the destination began.
func (c *inquiry) before(e *evidence) bool {
	if c.x.cfg.Begins == nil {
		return false
	}
	at, known := c.x.cfg.Begins(e.id)[e.last.Partition]
	return known && e.last.Offset < at
}

// untransformed: it waits in the topic of events.
func (c *inquiry) untransformed(ctx context.Context, e *evidence, progress infra.Progress, v *DestinationExplanation) error {
	v.State, v.Stage, v.Ahead = StateNotTransformed, "transform", undoneBelow(progress, e.last.Offset)
	v.Since = e.last.Stored
	status, known := c.status(e.id)
	if known && status.Replay != nil {
		v.Why = "a replay" + by(status.Replay) + " is under way; it is transformed after that, as the events before it are"
		return nil
	}
	others := &DestinationExplanation{}
	if known && status.Waits != "" { // of the partitions of this process
		if err := c.owner(ctx, record.TransformGroup(e.id), record.EventsTopic, e.last.Partition, others); err != nil {
			return err
		}
	}
	if known && status.Waits != "" && others.Owner == "" {
		head := &DestinationExplanation{}
		c.first(e, &router.Waiting{Reason: status.Waits}, head)
		v.Why, v.Do, v.Reason = "it is not transformed yet, because enough deliveries wait already: "+head.Why, head.Do, status.Waits
		return nil
	}
	for _, w := range c.waiting(e.id, e.last.orderKey) {
		if w.Stage != "transform" {
			continue
		}
		c.describe(&w, v)
		switch {
		case w.EventID == c.q.ID && w.Offset == e.last.Offset && w.Reason == metrics.WaitBroker:
			v.Why, v.Do = "the broker does not take what was made of it; it is tried again", "see to the broker"
		case w.Reason == metrics.WaitHeld:
			c.heldTransform(e, status, v)
		case w.EventID == c.q.ID && w.Offset == e.last.Offset:
			v.Why = "it is being transformed"
		default:
			v.Why = fmt.Sprintf("it is not transformed yet: it waits behind event %s of the same user", w.EventID)
			v.Behind = blocking(&w)
		}
		return nil
	}
	if known && status.Hold.Stage == v.Stage {
		c.heldTransform(e, status, v)
		return nil
	}
	v.Why = fmt.Sprintf("it is not transformed yet; %s of its partition %s before it", plural.Count(v.Ahead, "event"), plural.Verb(v.Ahead, "is", "are"))
	return c.owner(ctx, record.TransformGroup(e.id), record.EventsTopic, e.last.Partition, v)
}

// judgeUndone: its record in the destination's topic is not done.
func (c *inquiry) judgeUndone(ctx context.Context, e *evidence, r *destRecord, v *DestinationExplanation) error {
	v.Stage = "deliver"
	for _, w := range c.waiting(e.id, r.orderKey) {
		if w.Stage != "deliver" || w.Partition == r.Partition && w.Offset > r.Offset { // its user's next one: it has ended, and the commit follows
			continue
		}
		c.describe(&w, v)
		if w.Partition == r.Partition && w.Offset == r.Offset {
			c.first(e, &w, v)
		} else {
			c.queued(e, r, &w, v)
		}
		return nil
	}
	if f := c.finish(e, r.Stored); f != nil { // the commit follows within moments
		c.judgeDone(e, r, v)
		return nil
	}
	ahead := slices.DeleteFunc(slices.Clone(e.others), func(p predecessor) bool {
		return p.partition != r.Partition || p.offset >= r.Offset || e.delivered[p.partition].Done(p.offset)
	})
	if len(ahead) > 0 && ahead[0].orderKey != r.orderKey { // order is that of partitions
		for _, w := range c.waiting(e.id, ahead[0].orderKey) {
			if w.Stage == "deliver" {
				c.queued(e, r, &w, v)
				return nil
			}
		}
	}
	v.State, v.Ahead = StateWaiting, c.ahead(e, r, len(ahead))
	if len(ahead) > 0 {
		v.Behind = &BlockingEvent{EventID: ahead[0].id, Partition: ahead[0].partition, Offset: ahead[0].offset}
		v.Why = fmt.Sprintf("it waits behind event %s of the same %s, which is not done (%s of this %s before it)", ahead[0].id, c.whose(), plural.Count(v.Ahead, "event"), c.whose())
		v.Do = "eventserver explain " + operand(ahead[0].id) + " --destination " + e.id + keyFlagOf(ahead[0].orderKey)
	} else {
		v.Why = "it is the first of its user that is not done; whether it is being attempted only the server that reads it knows"
		if c.out.Live {
			v.Why = "it is the first of its user that is not done, and has not been read yet"
		}
	}
	if status, ok := c.status(e.id); ok {
		if why := status.Why(c.out.At); why != "" {
			v.Why += "; " + why
		}
	}
	return c.owner(ctx, record.DeliverGroup(e.id), record.DestinationTopic(e.id), r.Partition, v)
}

// first: nothing of its user is before it.
func (c *inquiry) first(e *evidence, w *router.Waiting, v *DestinationExplanation) {
	status, _ := c.status(e.id)
	tried := ""
	if w.Attempts > 0 {
		tried = fmt.Sprintf(" after %s, the last answer was: %s", plural.Count(w.Attempts, "attempt"), w.Last)
	}
	v.State = StateWaiting
	switch w.Reason {
	case metrics.WaitAttempt:
		v.State, v.Why = StateAttempt, fmt.Sprintf("attempt %d is under way%s", w.Attempts+1, tried)
	case metrics.WaitBackoff:
		v.State = StateRetrying
		v.Why = fmt.Sprintf("attempt %d of %d failed (%s); the next is at %s", w.Attempts, w.Limit, w.Last, clock(w.Next))
		if w.Counted < w.Attempts {
			v.Why = fmt.Sprintf("attempt %d failed (%s), %d of %d count against it; the next is at %s", w.Attempts, w.Last, w.Counted, w.Limit, clock(w.Next))
		}
		v.Do = "fix the receiver; it is tried again by itself, now with: eventserver retry " + e.id + keyFlagOf(w.Key)
		if w.Counted > 0 {
			v.Do += "; it goes to the poison queue when its attempts are spent"
		}
	case metrics.WaitBreaker:
		v.State = StateBreaker
		v.Why = "the destination fails and is not called" + tried
		switch why := status.Why(c.out.At); {
		case why == "":
		case w.Attempts > 0 && strings.Contains(why, w.Last): // the same cause, said once
			v.Why = fmt.Sprintf("%s; %s made", why, plural.Count(w.Attempts, "attempt was", "attempts were"))
		case w.Attempts > 0:
			v.Why = why + ";" + tried
		default:
			v.Why = why
		}
		v.Do = "fix the receiver; it is tried again by itself, now with: eventserver retry " + e.id
	case metrics.WaitHeld:
		v.State, v.Why, v.Do = StateHeld, status.Hold.Words(c.out.At)+tried, "fix the receiver; "+resume(e.id)
	case metrics.WaitPaused:
		v.State, v.Why = StatePaused, "the destination is paused"+tried
		if status.Pause != nil {
			v.Why = "the destination is paused" + by(status.Pause) + tried
		}
		v.Do = "eventserver resume " + e.id
	case metrics.WaitSlot:
		v.Why = fmt.Sprintf("as many attempts as the destination's concurrency allows (%d) are under way%s", status.Concurrency, tried)
		v.Do = "if it takes long: a faster receiver, or a larger concurrency"
	case metrics.WaitRateLimit:
		v.Why = "it waits for the destination's rate limit, until " + clock(w.Next) + tried
	case metrics.WaitBatch:
		v.Why = "it waits for others to go in the same batch" + tried
	case metrics.WaitBroker:
		v.Why, v.Do = "it is given up and cannot be moved to the poison queue yet: "+w.Last, "see to the broker"
	}
}

// queued: another event of its user is before it.
func (c *inquiry) queued(e *evidence, r *destRecord, w *router.Waiting, v *DestinationExplanation) {
	v.State, v.Behind = StateWaiting, blocking(w)
	v.Attempts, v.LastAnswer, v.Since, v.Next, v.Reason = 0, "", r.Stored, time.Time{}, ""
	for _, p := range e.others {
		if p.partition == r.Partition && p.offset < r.Offset && !e.delivered[p.partition].Done(p.offset) {
			v.Ahead++
		}
	}
	v.Ahead = max(c.ahead(e, r, int(v.Ahead)), 1)
	head := &DestinationExplanation{}
	c.first(e, w, head)
	v.Why = fmt.Sprintf("it waits behind event %s of the same %s: %s", w.EventID, c.whose(), head.Why)
	if v.Ahead > 1 {
		v.Why += fmt.Sprintf(" (%d events of this %s are before it)", v.Ahead, c.whose())
	}
	v.Do = head.Do
	if v.Do == "" {
		v.Do = "eventserver explain " + operand(w.EventID) + " --destination " + e.id + keyFlagOf(w.Key)
	}
}

// whose is what keeps events in order.
func (c *inquiry) whose() string {
	if c.x.cfg.ByPartition {
		return "partition"
	}
	return "user"
}

// ahead counts what is before a record that waits; found is how much of it was
// looked at.
func (c *inquiry) ahead(e *evidence, r *destRecord, found int) int64 {
	if c.x.cfg.ByPartition {
		return undoneBelow(e.delivered[r.Partition], r.Offset)
	}
	return int64(found)
}
