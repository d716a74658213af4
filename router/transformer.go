package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
)

// transformRuns bounds what is transformed and stored at once.
var transformRuns = infra.Runs{Messages: 256, Bytes: 1 << 20}

// transformer makes the records of a destination's topic out of those of the events
// topic, a run at a time, in the order of the partition. It waits for no receiver, so
// it needs no order of its own, and what a run came to is stored with the progress.
type transformer struct {
	dest     *Destination
	pub      message.Publisher // where the broker hands out no runs
	storing  *storing
	stored   func(began time.Time, err error) // times what is stored
	limit    int                              // bytes of a payload with its headers; 0: none
	poison   *attempt.PoisonQueue
	metrics  *metrics.Destination
	spans    *attempt.Spans
	waits    *runWaits
	hold     *hold
	ahead    *attempt.Backpressure
	draining <-chan struct{}
	log      *slog.Logger
}

// handle transforms the events of a run and stores what they came to. It returns an
// error only when the message's context ends or the pipeline drains; what was not
// stored is not done then.
func (t *transformer) handle(msg *message.Message) error {
	run := infra.RunOf(msg)
	if run == nil {
		run = t.runOf(msg)
	}
	ctx, cancel := context.WithCancel(msg.Context())
	defer cancel() // tells a transformation that is left behind
	if err := t.backpressure(ctx, run); err != nil {
		return err
	}
	return newWork(t, run).finish(ctx)
}

// backpressure returns when the run may be transformed.
func (t *transformer) backpressure(ctx context.Context, run *infra.Run) error {
	reason, opened := t.ahead.Stopped()
	if reason == "" {
		return nil
	}
	waiting := &runWait{parts: run.Parts}
	defer t.waits.end(waiting)
	for reason != "" {
		t.waits.begin(waiting, reason, time.Time{}, nil)
		if err := t.sleep(ctx, time.Time{}, opened); err != nil {
			return err
		}
		reason, opened = t.ahead.Stopped()
	}
	return nil
}

// runOf makes a run of one event.
func (t *transformer) runOf(msg *message.Message) *infra.Run {
	return &infra.Run{Parts: []*infra.Part{{Messages: []*message.Message{msg}}}, RunOwner: single{t.pub}}
}

// single is the owner of a run of one event.
type single struct{ pub message.Publisher }

// Store implements infra.RunOwner.
func (s single) Store(out []infra.Output, _ ...*infra.Part) error { // at most one
	for _, o := range out {
		return s.pub.Publish(o.Topic, o.Message)
	}
	return nil
}

// Made implements infra.RunOwner.
func (single) Made(*infra.Part, *message.Message) bool { return false }

// Aside implements infra.RunOwner.
func (single) Aside() {}

func tooLarge(err error) *attempt.GiveUp {
	return attempt.GiveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: its result does not fit: %w", err))
}

func (t *transformer) topic() string { return record.DestinationTopic(t.dest.Destination.ID()) }

// result is what became of one event of a run.
type result struct {
	part  *infra.Part
	msg   *message.Message
	rec   *message.Message // for the destination's topic, or its poison queue; nil: skipped
	given *attempt.GiveUp  // nil: it was transformed or skipped
	ended func(error)      // of the span of its way to the poison queue; nil: none
}

// finish stores what parts of a run came to, and counts it.
func (t *transformer) finish(ctx context.Context, run *infra.Run, parts []*infra.Part, results []result) error {
	if err := t.store(ctx, run, parts, results); err != nil {
		return err
	}
	skipped, made := 0, 0
	for i := range results {
		switch r := &results[i]; {
		case r.given != nil:
			t.poison.Kept(ctx, r.msg, r.given)
		case r.rec == nil:
			skipped++
		default:
			made++
		}
	}
	t.ahead.Add(made)
	t.metrics.FinishedMany(metrics.Skipped, skipped)
	return nil
}

func (t *transformer) resultOf(ctx context.Context, part *infra.Part, msg *message.Message, o outcome) (result, error) {
	var given *attempt.GiveUp
	switch {
	case ctx.Err() != nil:
		return result{}, ctx.Err() // whatever it said: the claim is over, the next owner does it again
	case o.err == nil:
		return result{part: part, msg: msg, rec: o.rec}, nil
	case errors.Is(o.err, destinations.ErrSkip):
		return result{part: part, msg: msg}, nil
	case errors.As(o.err, &given):
		return t.givenUp(part, msg, given), nil
	default:
		return result{}, o.err
	}
}

// givenUp makes the record of an event for the poison queue.
func (t *transformer) givenUp(part *infra.Part, msg *message.Message, g *attempt.GiveUp) result {
	return result{part: part, msg: msg, given: g, rec: g.PoisonRecord(msg, t.poison.Stage)}
}

// store stores what parts came to, however long the broker takes none of it.
func (t *transformer) store(ctx context.Context, run *infra.Run, parts []*infra.Part, results []result) error {
	out := make([]infra.Output, 0, len(results))
	var recs []*message.Message // for the destination
	for i := range results {
		switch r := &results[i]; {
		case r.given != nil:
			r.ended = t.poison.Sends(ctx, r.given, r.rec)
			out = append(out, infra.Output{Part: r.part, Topic: t.poison.Topic(), Message: r.rec})
		case r.rec != nil:
			out = append(out, infra.Output{Part: r.part, Topic: t.topic(), Message: r.rec})
			recs = append(recs, r.rec)
		}
	}
	if len(out) == 0 && len(parts) == len(run.Parts) {
		return nil // its ack says so
	}
	ended := t.spans.Stores(t.topic(), recs)
	err := t.storeAll(ctx, run, parts, results, out)
	ended(err)
	for _, r := range results {
		if r.ended != nil {
			r.ended(err)
		}
	}
	return err
}

func (t *transformer) storeAll(ctx context.Context, run *infra.Run, parts []*infra.Part, results []result, out []infra.Output) error {
	const first, most = 100 * time.Millisecond, 5 * time.Second
	waiting := &runWait{parts: parts}
	defer func() { t.waits.end(waiting) }()
	for wait := first; ; wait = min(2*wait, most) {
		err := t.put(run, out, parts...)
		if err == nil {
			return nil
		}
		if some := new(infra.PublishError); errors.As(err, &some) {
			out = slices.DeleteFunc(out, func(o infra.Output) bool { return !slices.Contains(some.Failed, o.Message) })
			parts = slices.DeleteFunc(slices.Clone(parts), func(p *infra.Part) bool {
				return !slices.ContainsFunc(out, func(o infra.Output) bool { return o.Part == p })
			})
		}
		if errors.Is(err, infra.ErrTooLarge) {
			if out = t.alone(ctx, run, results, out); len(out) == 0 {
				continue // all that is left is the progress
			}
		}
		run.Aside()
		if ctx.Err() == nil && !errors.As(err, new(errStoresNothing)) {
			t.log.Warn("what was transformed cannot be stored; trying again", slog.Any("error", err), slog.Duration("wait", wait))
		}
		t.waits.begin(waiting, metrics.WaitBroker, time.Now().Add(wait), err)
		if stop := pause(ctx, t.draining, wait); stop != nil {
			return errors.Join(stop, err)
		}
	}
}

// put is run.Store, seen by those who watch what the broker does.
func (t *transformer) put(run *infra.Run, out []infra.Output, parts ...*infra.Part) error {
	began := time.Now()
	err := run.Store(out, parts...)
	if len(out) > 0 {
		t.stored(began, err)
	}
	return t.storing.outcome(err)
}

// alone stores records by themselves, one of which is too large for the broker, and
// returns what came behind a record that was not taken for another reason. A record that
// is too large is given up, and its poison record gets lighter until it is taken.
func (t *transformer) alone(ctx context.Context, run *infra.Run, results []result, out []infra.Output) (left []infra.Output) {
	for i := range out {
		err := t.put(run, out[i:i+1])
		for errors.Is(err, infra.ErrTooLarge) {
			of := slices.IndexFunc(results, func(r result) bool { return r.rec == out[i].Message })
			r := &results[of]
			if r.given == nil {
				*r = t.givenUp(out[i].Part, r.msg, t.spans.Of(out[i].Message, tooLarge(err)))
				r.ended = t.poison.Sends(ctx, r.given, r.rec)
			} else if less := t.poison.Lighter(r.rec, err); less != nil {
				r.rec = less
			} else {
				break
			}
			out[i].Topic, out[i].Message = t.poison.Topic(), r.rec
			err = t.put(run, out[i:i+1])
		}
		if err != nil {
			return out[i:]
		}
	}
	return nil
}

// transform makes the record of one event, and a span of it where they are wanted.
func (t *transformer) transform(ctx context.Context, msg *message.Message) (*message.Message, error) {
	if t.spans == nil {
		return t.make(ctx, msg)
	}
	return t.spans.Transform(ctx, msg, t.make)
}

// make makes the record of one event.
func (t *transformer) make(ctx context.Context, msg *message.Message) (*message.Message, error) {
	return t.dest.record(ctx, msg, infra.Offset(msg), t.limit)
}

func payloadSize(p destinations.Payload) int {
	size := len(p.Body) + len(p.ContentType)
	for k, v := range p.Headers {
		size += len(k) + len(v)
	}
	return size
}
