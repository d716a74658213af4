package poison

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/record"
)

const (
	maxBatch = 256
	maxBytes = 4 << 20 // of payloads that are sent before their marks are written

	markTries = 6
	markPause = 200 * time.Millisecond // doubled after each try
)

// sent is a record for the destination's topic.
type sent struct {
	msg *message.Message
	e   *entry
}

// batchFor keeps what is sent and not marked below a quarter of a second's worth.
func batchFor(perSecond float64) int {
	if perSecond == 0 {
		return maxBatch
	}
	return int(min(max(perSecond/4, 1), maxBatch))
}

// flush sends what is pending and marks it. Between the two, and only there, a
// kill leaves what has to be looked up.
func (j *job) flush(ctx context.Context) error {
	todo := j.pending
	j.pending, j.bytes = nil, 0
	if len(todo) == 0 {
		return nil
	}
	if j.order.DryRun {
		j.count(todo)
		return nil
	}
	if err := j.wait(ctx, todo); err != nil {
		return err
	}
	if err := j.lease.hold(ctx); err != nil {
		return err
	}
	done, err := j.send(todo)
	if len(done) > 0 {
		err = errors.Join(err, j.mark(ctx, done))
	}
	return err
}

// wait keeps the rate. The lease goes on meanwhile.
func (j *job) wait(ctx context.Context, todo []step) error {
	if j.limiter == nil {
		return nil
	}
	n := 0
	for _, s := range todo {
		if s.rec != nil {
			n++
		}
	}
	for until := time.Now().Add(j.limiter.ReserveN(time.Now(), n).Delay()); ; {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		t := time.NewTimer(min(left, leaseBeat/2))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		if err := j.lease.hold(ctx); err != nil {
			return err
		}
	}
}

// send publishes the steps' records, those of a key one after the other: a
// publish that fails may have stored some of its records, and not the first. It
// returns the steps that are to be marked.
func (j *job) send(todo []step) (done []step, err error) {
	topic := record.DestinationTopic(j.destination)
	stuck := map[string]bool{} // keys of which one of todo did not fit; what stays of others came later than theirs
	for len(todo) > 0 {
		var wave, later []step
		var recs []*message.Message
		taken := map[string]bool{}
		for _, s := range todo {
			switch {
			case s.rec == nil:
				done = append(done, s)
			case s.key != "" && taken[s.key]:
				later = append(later, s)
			case stuck[s.key] && !j.order.Force && !j.match.singly():
				j.leave(s.rec.e, "an earlier item of its key stays", func(r *Run) { r.Behind++ })
			default:
				taken[s.key] = true
				wave, recs = append(wave, s), append(recs, s.rec.msg)
			}
		}
		todo = later
		if len(wave) == 0 {
			continue
		}
		err := j.s.cfg.Publisher.Publish(topic, recs...)
		switch {
		case errors.Is(err, infra.ErrTooLarge):
			wave, err = j.sendSmall(topic, wave, stuck)
		case err != nil:
			wave = nil // some may be stored
		}
		done = append(done, wave...)
		if err != nil {
			j.unsure = true
			return done, fmt.Errorf("the broker did not take what was to be redriven: %w; the next run looks up what it has, and can begin in %s", err, leaseStale)
		}
	}
	return done, nil
}

// sendSmall sends each alone, and leaves what is too large: a transformation may
// have made it larger than the broker takes. It notes the keys of those in stuck.
func (j *job) sendSmall(topic string, wave []step, stuck map[string]bool) (stored []step, err error) {
	for _, s := range wave {
		err := j.s.cfg.Publisher.Publish(topic, s.rec.msg)
		switch {
		case errors.Is(err, infra.ErrTooLarge):
			stuck[s.key] = s.key != ""
			j.leave(s.rec.e, "it is larger than the broker takes", func(r *Run) { r.Failed++ })
		case err != nil:
			return stored, err
		default:
			stored = append(stored, s)
		}
	}
	return stored, nil
}

// mark settles items in the queue itself.
func (j *job) mark(ctx context.Context, done []step) error {
	msgs := make([]*message.Message, len(done))
	at := make([]record.Position, len(done))
	now := j.s.cfg.Now()
	for i := range done {
		if m := &done[i].mark; m.At.IsZero() {
			m.At = now
		}
		msgs[i], at[i] = record.EncodeMark(done[i].mark, done[i].key), done[i].mark.Of
	}
	if err := j.publishMarks(ctx, msgs); err != nil {
		j.unsure = true
		return fmt.Errorf("marks in topic %s: %w; the next run looks up what was sent, and can begin in %s", j.q.topic, err, leaseStale)
	}
	if err := j.q.settle(context.WithoutCancel(ctx), at...); err != nil {
		return err
	}
	defer j.s.goesOn(j.h)
	if done[0].mark.Run == j.h.run.ID { // not those of a run that was killed
		j.count(done)
	}
	return nil
}

// publishMarks tries for some seconds: what was sent has to be marked, and ctx
// may have ended meanwhile.
func (j *job) publishMarks(ctx context.Context, msgs []*message.Message) error {
	pause := j.s.pause
	for n := 1; ; n++ {
		err := j.s.cfg.Publisher.Publish(j.q.topic, msgs...)
		if err == nil {
			return nil
		}
		if some := (*infra.PublishError)(nil); errors.As(err, &some) {
			msgs = some.Failed
		}
		if n == markTries {
			return err
		}
		t := time.NewTimer(pause)
		pause *= 2
		select {
		case <-ctx.Done(): // one more, and no wait
			t.Stop()
			n = max(n, markTries-1)
		case <-t.C:
		}
	}
}

// count tells what was done, or would be.
func (j *job) count(done []step) {
	kinds := map[string]int{}
	for _, s := range done {
		kinds[s.mark.Kind]++
	}
	j.note(func(r *Run) {
		r.Redriven += kinds[record.MarkRedriven]
		r.Discarded += kinds[record.MarkDiscarded]
		r.Skipped += kinds[record.MarkSkipped]
	})
	if j.order.DryRun {
		return
	}
	for kind, n := range kinds {
		j.s.cfg.Settled(kind, n)
	}
}
