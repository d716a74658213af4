package attempt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/trace"

	"eventserver/infra"
	"eventserver/router/record"
	"eventserver/router/schedule"
)

// attempt is what the scheduler has handed out: one delivery, or a batch. It is the
// context of the message that Watermill has, which ends with the claim.
type attempt struct {
	context.Context
	schedule.Attempt

	message  message.Message // without channels for its verdict, which nobody waits for
	release  func()          // of a batch's context; nil: none
	verdicts []schedule.Verdict
	kept     *kept
}

// kept is what the router keeps of a delivery from one attempt to the next.
type kept struct {
	span trace.Span // of the delivery; nil: none
}

type attemptKey struct{}

// Value implements context.Context.
func (a *attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// attemptOf is the attempt that a message was handed out for. Each has one, but for a
// message of a test's own.
func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	return a
}

// begin makes the message of an attempt.
func (a *attempt) begin() *message.Message {
	first := a.Deliveries[0]
	a.message.UUID = first.Message.UUID
	if len(a.Deliveries) == 1 {
		a.Context = infra.ClaimOf(first.Message)
		a.message.Payload, a.message.Metadata = first.Message.Payload, first.Message.Metadata
		if h := first.History; h != nil {
			a.kept, _ = h.Note.(*kept)
		}
	} else {
		a.Context, a.release = together(a.Deliveries)
	}
	a.message.SetContext(a)
	return &a.message
}

// given is why the delivery was given up, where that is only to be stored; nil: it is to
// be attempted.
func (a *attempt) given() *GiveUp {
	if !a.Store {
		return nil
	}
	g, _ := a.Deliveries[0].History.Given.(*GiveUp)
	return g
}

// number counts the attempts of the only delivery, from 1.
func (a *attempt) number() int { return a.Deliveries[0].Number() }

// together is a context that ends with the claim of any delivery, and its grace with
// that of any: the next owner of one of them must not find an attempt of ours under way.
// Where all are of one claim there is nothing to watch.
func together(of []*schedule.Delivery) (context.Context, func()) {
	first := infra.ClaimOf(of[0].Message)
	var claims []context.Context
	for _, d := range of {
		ctx := infra.ClaimOf(d.Message)
		if !slices.ContainsFunc(claims, func(c context.Context) bool { return c.Done() == ctx.Done() }) {
			claims = append(claims, ctx)
		}
	}
	if len(claims) == 1 {
		return first, nil
	}
	later, cut := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(infra.WithGrace(context.Background(), later))
	var stops []func() bool
	for _, c := range claims {
		if c.Err() != nil { // AfterFunc says so a moment later
			cancel()
		}
		stops = append(stops, context.AfterFunc(c, cancel), context.AfterFunc(infra.Grace(c), cut))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
		cut()
	}
}

// stuck adds to an error which attempts are still under way.
func (s *Scheduler) stuck(err error) error {
	now := s.lock()
	defer s.unlock(now)
	var first *message.Message
	var since time.Time
	n := 0
	s.m.Each(now, func(l schedule.Brief) {
		if !l.Started {
			return
		}
		n++
		if first == nil || l.Since.Before(since) {
			first, since = l.First, l.Since
		}
	})
	if n == 0 {
		return err
	}
	return fmt.Errorf("%w: %d under way, the longest for %s: event %s", err, n, now.Sub(since).Round(time.Millisecond), record.EventID(first))
}
