package pubsub

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// runner makes runs of the parts that the claims of a subscription offer: what comes
// while a run is handled goes into the next one, so that what a run costs is paid for
// many messages when there are many, and nothing waits when there are few.
type runner struct {
	sub     *subscription
	offered chan *part
	ended   chan struct{}

	mu  sync.Mutex
	era *era
}

// era is the time between two ends of claims. Runs end with the era: one whose claim has
// ended must not go on.
type era struct {
	ctx context.Context
	end context.CancelFunc
}

func newRunner(s *subscription) *runner {
	r := &runner{sub: s, offered: make(chan *part), ended: make(chan struct{})}
	r.turn()
	go r.run()
	return r
}

// turn ends the era and begins the next.
func (r *runner) turn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.era != nil {
		r.era.end()
	}
	ctx, end := context.WithCancel(r.sub.values)
	r.era = &era{ctx, end}
}

// take offers a part; false when it goes into no run any more.
func (r *runner) take(ctx context.Context, p *part) bool {
	select {
	case r.offered <- p:
		return true
	case <-ctx.Done():
	case <-r.sub.flights.Draining():
	}
	return false
}

func (r *runner) run() {
	defer close(r.ended)
	for {
		var parts []*part
		select {
		case p := <-r.offered:
			parts = append(parts, p)
		case <-r.sub.closing.Done():
			return
		}
		for more := true; more; {
			select {
			case p := <-r.offered:
				parts = append(parts, p)
			default:
				more = false
			}
		}
		r.handOut(parts)
	}
}

// run is a run in flight.
type run struct {
	of     *runner
	ctx    context.Context
	parts  []*part
	msg    *message.Message
	beside chan struct{} // closed when partitions that are not in it may go on
	once   sync.Once
}

// handOut gives the handler a run, and returns when the next one may follow.
func (r *runner) handOut(parts []*part) {
	r.mu.Lock()
	ctx := r.era.ctx
	r.mu.Unlock()
	parts = slices.DeleteFunc(parts, func(p *part) bool { // its claim ends before its era
		ended := p.claim.ctx.Err() != nil
		if ended {
			p.ended <- false
		}
		return ended
	})
	if len(parts) == 0 {
		return
	}
	x := &run{of: r, ctx: ctx, parts: parts, msg: message.NewMessage("", nil), beside: make(chan struct{})}
	if !r.sub.flights.Begin() {
		x.end(false)
		return
	}
	all := make([]*infra.Part, len(parts))
	for i, p := range parts {
		p.Partition = p.claim.of.Partition
		p.Messages = make([]*message.Message, len(p.recs))
		for j, rec := range p.recs {
			p.Messages[j] = read(rec)
			p.Messages[j].SetContext(ctx)
		}
		all[i] = &p.Part
	}
	x.msg.SetContext(infra.WithRun(ctx, infra.NewRun(all, x.store, x.aside)))
	select {
	case r.sub.out <- x.msg:
	case <-ctx.Done():
		x.finish(false)
		return
	case <-r.sub.flights.Draining():
		x.finish(false)
		return
	}
	select {
	case <-x.msg.Acked():
		x.finish(true)
	case <-x.msg.Nacked():
		x.finish(false)
	case <-x.beside:
		go x.await()
	case <-ctx.Done(): // a handler may not look at it
		go x.await()
	}
}

func (x *run) aside() { x.once.Do(func() { close(x.beside) }) }

// await waits for the verdict on a run that others have gone past. A handler whose era
// has ended has some time for it.
func (x *run) await() {
	late := make(<-chan time.Time)
	for ended := x.ctx.Done(); ; {
		select {
		case <-x.msg.Acked():
			x.finish(true)
			return
		case <-x.msg.Nacked():
			x.finish(false)
			return
		case <-ended:
			ended = nil
			timer := time.NewTimer(x.of.sub.b.releaseTimeout())
			defer timer.Stop()
			late = timer.C
		case <-late:
			x.finish(false)
			return
		}
	}
}

func (x *run) finish(acked bool) {
	x.end(acked)
	x.of.sub.flights.End()
}

// end ends the parts that are not over.
func (x *run) end(acked bool) {
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	for _, p := range x.parts {
		p.end(acked, false)
	}
}

// store is infra.Run.Store.
func (x *run) store(out []infra.Output, done []*infra.Part) error {
	if x.ctx.Err() != nil {
		return x.ctx.Err()
	}
	sub := x.of.sub
	b := sub.b
	parts := slices.Clone(x.parts)
	parts = slices.DeleteFunc(parts, func(p *part) bool { return !slices.Contains(done, &p.Part) })
	var progress []infra.Progressed
	whole := b.log.Limits().Whole
	if whole {
		sub.keeper.mu.RLock() // what is kept meanwhile would be older, or another owner's
		defer sub.keeper.mu.RUnlock()
		for _, p := range parts {
			at, owned := p.claim.ahead()
			if !owned {
				return context.Canceled
			}
			progress = append(progress, at)
		}
	}
	err := b.appendOutputs(out, progress)
	if errors.Is(err, infra.ErrNoTopic) { // or it was deleted and made anew, with other partitions
		for _, o := range out {
			b.partitions.Delete(o.Topic)
		}
		err = b.appendOutputs(out, progress)
	}
	err = publishError(err, len(out), func(i int) *message.Message { return out[i].Message })
	if err != nil {
		some := new(infra.PublishError)
		if !errors.As(err, &some) {
			return err
		}
		for _, o := range out {
			if slices.Contains(some.Failed, o.Message) {
				parts = slices.DeleteFunc(parts, func(p *part) bool { return &p.Part == o.Part })
			}
		}
	}
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	for _, p := range parts {
		p.end(true, whole && err == nil)
	}
	return err
}

func (b *broker) appendOutputs(out []infra.Output, done []infra.Progressed) error {
	all, recs := make([]infra.Record, len(out)), make([]*infra.Record, len(out))
	for i, o := range out {
		recs[i] = &all[i]
		if err := b.fill(recs[i], o.Topic, o.Message); err != nil {
			return err
		}
		partitions, err := b.partitionsOf(context.Background(), o.Topic)
		if err != nil {
			return err
		}
		recs[i].Partition = o.Part.Partition % partitions
	}
	return b.log.Append(context.Background(), infra.Batch{Records: recs, Progress: done, Durability: infra.Step})
}
