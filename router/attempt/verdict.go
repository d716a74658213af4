package attempt

import (
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/schedule"
)

// again is the error of an attempt that is to be made again, or of a record that is to
// be stored again.
type again struct {
	until time.Time
	err   error
	given *GiveUp // not nil: no attempt, the poison queue did not take it
}

func (a *again) Error() string { return a.err.Error() }
func (a *again) Unwrap() error { return a.err }

var errPanicked = errors.New("the handler panicked")

// unknownPause is the time until another attempt after an error that says nothing of
// the destination, as when a middleware panics.
const unknownPause = 100 * time.Millisecond

// verdict is the outermost middleware that judges. It tells the scheduler what became
// of an attempt, and Watermill that there is nothing more to do. The broker's message
// is settled here.
func (s *Scheduler) verdict(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		a := attemptOf(msg.Context())
		became := errPanicked
		defer func() { s.finish(a, became) }()
		if a.Err() != nil || s.draining.Load() { // since it was handed out
			became = ErrDraining
			return nil, nil
		}
		_, became = next(msg)
		return nil, nil
	}
}

// finish says what became of an attempt.
func (s *Scheduler) finish(a *attempt, err error) {
	if a.release != nil {
		a.release()
	}
	if !a.Settle() {
		return // it was left behind
	}
	if len(a.Deliveries) > 1 {
		s.finishBatch(a, err)
		return
	}
	d := a.Deliveries[0]
	v := schedule.Verdict{Kind: schedule.Gone}
	switch {
	case err == nil:
		a.endSpan(true)
		infra.Settle(d.Message, true)
	case a.Err() != nil || s.draining.Load():
		a.endSpan(false)
		infra.Settle(d.Message, false)
	default:
		v = verdictOf(err)
	}
	if a.kept != nil {
		v.Note = a.kept
	}
	now := s.lock()
	if err == nil {
		s.m.End(now, &a.Attempt, schedule.Success, schedule.Asked{}, nil)
	}
	s.m.Finish(now, &a.Attempt, v)
	s.unlock(now)
}

// verdictOf is that of a delivery that stays.
func verdictOf(err error) schedule.Verdict {
	var once *again
	switch {
	case !errors.As(err, &once):
		return schedule.Verdict{Kind: schedule.Blocked, Until: time.Now().Add(unknownPause), Err: err}
	case once.given != nil:
		return schedule.Verdict{Kind: schedule.Store, Until: once.until, Given: once.given, Err: once.err}
	default:
		return schedule.Verdict{Kind: schedule.Backoff, Until: once.until}
	}
}

// finishBatch is finish for several deliveries. With an error their batch was cut:
// those whose claim has ended go back, and the others are attempted again.
func (s *Scheduler) finishBatch(a *attempt, err error) {
	verdicts := a.verdicts
	if verdicts == nil {
		verdicts = make([]schedule.Verdict, len(a.Deliveries))
	}
	for i, d := range a.Deliveries {
		v := &verdicts[i]
		switch back := d.Message.Context().Err() != nil || s.draining.Load(); {
		case err == nil && v.Kind == schedule.Gone:
			infra.Settle(d.Message, true)
		case back:
			v.Kind = schedule.Gone
			infra.Settle(d.Message, false)
		case err != nil && a.Err() == nil: // a panic of ours: each alone, and not at once
			*v = verdictOf(err)
		case err != nil:
			v.Kind = schedule.Company
		}
	}
	now := s.lock()
	if err == nil {
		s.m.End(now, &a.Attempt, schedule.Success, schedule.Asked{}, nil) // unless it has ended otherwise
	}
	s.m.Finish(now, &a.Attempt, verdicts...)
	s.unlock(now)
}

// ended tells the breaker of a failed attempt, whose slot is free from now on, and
// returns what its delivery has been through.
func (s *Scheduler) ended(a *attempt, o schedule.Outcome, asked schedule.Asked, err error) *schedule.History {
	now := s.lock()
	defer s.unlock(now)
	s.m.End(now, &a.Attempt, o, asked, err)
	return a.Deliveries[0].History
}

// endSpan ends the span of a delivery.
func (a *attempt) endSpan(done bool) {
	if a.kept != nil {
		a.kept.end(done)
	}
}

func (k *kept) end(done bool) {
	if k.span == nil {
		return
	}
	if !done {
		k.span.SetAttributes(attrOutcome.String(outcomeReturned))
	}
	k.span.End()
}

// endSpan is for a delivery that goes back between two attempts.
func endSpan(d *schedule.Delivery) {
	if d.History != nil {
		if k, ok := d.History.Note.(*kept); ok {
			k.end(false)
		}
	}
}
