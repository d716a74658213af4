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

// runner makes runs of the parts of a subscription's claims. Records that come while a run
// is handled go into the next one. So many messages share the cost of a run when there are
// many, and none waits when there are few. It has a goroutine while there is something to
// hand out.
type runner struct {
	sub *subscription

	mu             sync.Mutex
	offered        []*part     // of claims that read for themselves
	readyFollowers []*follower // that may have something at the live end
	working        bool
	closed         bool
	running        sync.WaitGroup
	generation     *generation
}

// generation is the time between two ends of claims. Runs end with their generation,
// because a run whose claim has ended must not continue.
type generation struct {
	ctx context.Context
	end context.CancelFunc
}

func newRunner(s *subscription) *runner {
	r := &runner{sub: s}
	r.newGeneration()
	return r
}

// close stops handing out. It returns when nothing is handed out.
func (r *runner) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}

// newGeneration ends the generation and begins the next.
func (r *runner) newGeneration() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.generation != nil {
		r.generation.end()
	}
	ctx, end := context.WithCancel(r.sub.values)
	r.generation = &generation{ctx, end}
}

// offer puts a part into the next run; false: there is no next run.
func (r *runner) offer(p *part) bool {
	if p.claim.ctx.Err() != nil || r.sub.flights.Drained() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offered = append(r.offered, p)
	r.work()
	return !r.closed
}

// withdraw takes back a part that is not in a run yet; false: it is in one.
func (r *runner) withdraw(p *part) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.offered, p)
	if i >= 0 {
		r.offered = slices.Delete(r.offered, i, i+1)
	}
	return i >= 0
}

// ready records that f may have something to hand out.
func (r *runner) ready(f *follower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !f.queued {
		f.queued = true
		r.readyFollowers = append(r.readyFollowers, f)
		r.work()
	}
}

// work starts the goroutine if it is needed. The caller holds mu.
func (r *runner) work() {
	if !r.working && !r.closed {
		r.working = true
		r.running.Go(r.run)
	}
}

func (r *runner) run() {
	for {
		r.mu.Lock()
		parts, atEnd := r.offered, r.readyFollowers
		r.offered, r.readyFollowers = nil, nil
		r.working = len(parts)+len(atEnd) > 0
		for _, f := range atEnd {
			f.queued = false
		}
		working := r.working
		r.mu.Unlock()
		if !working {
			return
		}
		if !r.sub.flights.Drained() {
			for _, f := range atEnd {
				if p := f.offer(); p != nil {
					parts = append(parts, p)
				}
			}
		}
		r.handOut(parts)
	}
}

// run is a run in flight.
type run struct {
	runner   *runner
	ctx      context.Context
	parts    []*part
	msg      *message.Message
	released chan struct{} // closed when other partitions may continue
	once     sync.Once
}

// handOut gives the handler a run, and returns when the next one may follow.
func (r *runner) handOut(parts []*part) {
	r.mu.Lock()
	ctx := r.generation.ctx
	r.mu.Unlock()
	parts = slices.DeleteFunc(parts, func(p *part) bool { // its claim ends before its generation
		ended := p.claim.ctx.Err() != nil
		if ended {
			p.settle(resultRetry)
		}
		return ended
	})
	if len(parts) == 0 {
		return
	}
	x := &run{runner: r, ctx: ctx, parts: parts, msg: message.NewMessage("", nil), released: make(chan struct{})}
	if !r.sub.flights.Begin() {
		x.end(resultRetry)
		return
	}
	all := make([]*infra.Part, len(parts))
	for i, p := range parts {
		p.Partition = p.claim.base.Partition
		p.Messages = make([]*message.Message, len(p.recs))
		for j := range p.recs {
			p.Messages[j] = p.message(j)
		}
		all[i] = &p.Part
	}
	x.msg.SetContext(infra.WithRun(ctx, &infra.Run{Parts: all, RunOwner: x}))
	select {
	case r.sub.out <- x.msg:
	case <-ctx.Done():
		x.finish(resultRetry)
		return
	case <-r.sub.flights.Draining():
		x.finish(resultRetry)
		return
	}
	select {
	case <-x.msg.Acked():
		x.finish(resultSkipped)
	case <-x.msg.Nacked():
		x.finish(resultRetry)
	case <-x.released:
		go x.await()
	case <-ctx.Done(): // a handler may not look at it
		go x.await()
	}
}

// Aside implements infra.RunOwner.
func (x *run) Aside() { x.once.Do(func() { close(x.released) }) }

// await waits for the result of a run while later runs are handed out. A handler has some
// time after its generation has ended.
func (x *run) await() {
	late := make(<-chan time.Time)
	for ended := x.ctx.Done(); ; {
		select {
		case <-x.msg.Acked():
			x.finish(resultSkipped)
			return
		case <-x.msg.Nacked():
			x.finish(resultRetry)
			return
		case <-ended:
			ended = nil
			timer := time.NewTimer(x.runner.sub.b.releaseTimeout())
			defer timer.Stop()
			late = timer.C
		case <-late:
			x.logAbandoned()
			x.finish(resultRetry)
			return
		}
	}
}

// logAbandoned logs parts whose handler is abandoned. A claim that reads for itself logs its own
// (awaitPart).
func (x *run) logAbandoned() {
	x.runner.mu.Lock()
	parts := slices.DeleteFunc(slices.Clone(x.parts), func(p *part) bool { return p.finished || p.live == nil })
	x.runner.mu.Unlock()
	for _, p := range parts {
		p.logAbandoned()
	}
}

func (x *run) finish(v partResult) {
	x.end(v)
	x.runner.sub.flights.End()
}

// end ends the unfinished parts.
func (x *run) end(v partResult) { x.endParts(x.parts, v) }

func (x *run) endParts(parts []*part, v partResult) {
	x.runner.mu.Lock()
	parts = slices.DeleteFunc(slices.Clone(parts), func(p *part) bool { return p.finished })
	bytes := 0
	for _, p := range parts {
		p.finished = true
		bytes += p.outputBytes
	}
	x.runner.mu.Unlock()
	x.runner.sub.account.hold(0, -bytes)
	for _, p := range parts {
		p.settle(v)
	}
}

func (p *part) settle(v partResult) {
	if v != resultRetry {
		p.claim.done(v)
	}
	if p.live != nil {
		p.claim.follower.partEnded(p, v != resultRetry)
	} else {
		p.result <- v != resultRetry
	}
}

// message returns a message of the part, which other subscriptions may share.
func (p *part) message(i int) *message.Message {
	if p.live != nil {
		return p.live[i].message()
	}
	return readUnacked(p.recs[i])
}

// Made implements infra.RunOwner. An abandoned handler charges nothing more.
func (x *run) Made(of *infra.Part, m *message.Message) (full bool) {
	i := slices.IndexFunc(x.parts, func(p *part) bool { return &p.Part == of })
	p, bytes := x.parts[i], outputCost(m)
	x.runner.mu.Lock()
	over := p.finished
	if !over {
		p.outputBytes += bytes
		x.runner.sub.account.hold(0, bytes) // takes no lock: it is not negative
	}
	x.runner.mu.Unlock()
	return !over && x.runner.sub.account.share() >= 1
}

// Store implements infra.RunOwner.
func (x *run) Store(out []infra.Output, done ...*infra.Part) error {
	if x.ctx.Err() != nil {
		return x.ctx.Err()
	}
	sub := x.runner.sub
	b := sub.b
	parts := slices.Clone(x.parts)
	parts = slices.DeleteFunc(parts, func(p *part) bool { return !slices.Contains(done, &p.Part) })
	var progress []infra.Progressed
	whole := b.log.Limits().Whole
	if whole {
		sub.keeper.mu.RLock() // progress kept meanwhile would be older, or another owner's
		defer sub.keeper.mu.RUnlock()
		for _, p := range parts {
			at, owned := p.claim.nextProgress()
			if !owned {
				return context.Canceled
			}
			progress = append(progress, at)
		}
	}
	err := sub.appendOutputs(out, progress)
	if errors.Is(err, infra.ErrNoTopic) { // or it was deleted and created again, with other partitions
		for _, o := range out {
			b.partitions.Delete(o.Topic)
		}
		err = sub.appendOutputs(out, progress)
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
	v := resultAcked
	if whole && err == nil {
		v = resultStored
	}
	x.endParts(parts, v)
	return err
}

// appendOutputs stores outputs. Meanwhile their records are charged beside the messages.
func (s *subscription) appendOutputs(out []infra.Output, done []infra.Progressed) error {
	b, bytes := s.b, 0
	for _, o := range out {
		bytes += sizeOfMessage(o.Message)
	}
	s.account.hold(0, bytes)
	defer s.account.hold(0, -bytes)
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
