package router

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
)

// state is what metrics ask at each scrape.
func (r *running) state() metrics.State {
	r.mu.Lock()
	s := metrics.State{Lag: r.backlog.lag, Oldest: r.backlog.oldest, OldestAt: r.backlog.at}
	r.mu.Unlock()
	now := r.scheduler().State()
	s.InFlight, s.BreakerOpen, s.Paused, s.Held = now.Slots, now.Breaker.Open, now.Paused, now.Hold.Held || r.hold.state().Held
	s.Buffered, s.OldestBlocked, s.Blocked = now.Held, now.OldestBlocked, now.Blocked
	r.mu.Lock()
	transform := r.transform
	r.mu.Unlock()
	for name, stage := range map[string]*stage{record.StageTransform: transform, record.StageDeliver: r.deliver} {
		reader := metrics.Reader{Stage: name}
		if stage == nil { // a replay holds it
			s.Readers = append(s.Readers, reader)
			continue
		}
		now := stage.source.Stats()
		reader.Partitions, reader.Window, reader.Deferred, reader.MetadataBytes = now.Partitions, now.Window, now.Deferred, now.MetadataBytes
		reader.MetadataFull, reader.Suppressed = now.MetadataFull, now.Suppressed
		s.Readers = append(s.Readers, reader)
	}
	return s
}

// backlogInterval bounds what asking the broker costs.
const backlogInterval = 5 * time.Second

// backlogLooks is in how many destinations the oldest event is looked up side by side:
// one after the other, those of a busy server, or of a distant Kafka, took longer than
// the interval, and alerts on a growing lag saw it stand still.
const backlogLooks = 8

// backlog is what a destination has not done, as its groups' commits say.
type backlog struct {
	lag    []metrics.Lag
	oldest time.Time // when the oldest event was accepted that is not finished; zero: none
	at     time.Time // of the look; zero: the broker has not answered since
}

func (p *Pipeline) watchBacklog(ctx context.Context) {
	tick := time.NewTicker(backlogInterval)
	defer tick.Stop()
	for {
		p.Refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Refresh asks the broker what the destinations have not done, which Status and
// the metrics otherwise know as it was up to five seconds ago.
func (p *Pipeline) Refresh(ctx context.Context) {
	all := p.all()
	ids := make([]string, len(all))
	for i, d := range all {
		ids[i] = d.id
	}
	readBacklogs(ctx, p.cfg.Broker, ids, func(i int, b backlog, err error) {
		d := all[i]
		d.mu.Lock()
		defer d.mu.Unlock()
		switch {
		case ctx.Err() != nil: // who asked has no more time: it says nothing of the broker
		case err != nil: // the last known one stays, and grows older, until the broker answers
			d.backlog.at = time.Time{}
		case b.at.After(d.backlog.at):
			d.backlog = b
		}
	})
}

// noLag is what is shown until the broker has been asked for the first time.
func noLag(id string) []metrics.Lag {
	return []metrics.Lag{
		{Topic: record.EventsTopic, Group: record.TransformGroup(id)},
		{Topic: record.DestinationTopic(id), Group: record.DeliverGroup(id)},
	}
}

// readBacklogs asks for the progress of all destinations at once, and calls found for
// each, from many goroutines.
func readBacklogs(ctx context.Context, broker infra.Broker, ids []string, found func(i int, b backlog, err error)) {
	at := time.Now()
	var of []infra.GroupTopic
	all := make([]backlog, len(ids))
	for i, id := range ids {
		all[i] = backlog{lag: noLag(id), at: at}
		for _, l := range all[i].lag {
			of = append(of, infra.GroupTopic{Group: l.Group, Topic: l.Topic})
		}
	}
	progress := broker.Progress(ctx, of...)
	slots := make(chan struct{}, backlogLooks)
	var wg sync.WaitGroup
	for i, b := range all {
		done := progress[:len(b.lag)]
		progress = progress[len(b.lag):]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := b.read(ctx, broker, done)
			found(i, b, err)
		})
	}
	wg.Wait()
}

func readBacklog(ctx context.Context, broker infra.Broker, id string) (out backlog, err error) {
	readBacklogs(ctx, broker, []string{id}, func(_ int, b backlog, failed error) { out, err = b, failed })
	return out, err
}

func (b *backlog) read(ctx context.Context, reader infra.Reader, done []infra.GroupProgress) error {
	for i, p := range done {
		if p.Err != nil {
			return p.Err
		}
		l := &b.lag[i]
		if l.Messages = infra.Lag(p.Partitions); l.Messages > 0 {
			if err := b.age(ctx, reader, l.Topic, p.Partitions); err != nil {
				return err
			}
		}
	}
	return nil
}

// age looks at the first message of each partition that is not done: none of
// the others was accepted before it.
func (b *backlog) age(ctx context.Context, reader infra.Reader, topic string, progress map[int32]infra.Progress) error {
	ranges := map[int32]infra.Range{}
	for n, p := range progress {
		if p.Undone() > 0 {
			ranges[n] = infra.Range{From: p.Next, To: p.Next + 1}
		}
	}
	return infra.Readable(reader.Scan(ctx, topic, ranges, func(m *message.Message, stored time.Time) error {
		at, err := time.Parse(time.RFC3339Nano, m.Metadata.Get(record.HeaderReceived))
		if redriven := record.RedrivenAt(m); !redriven.IsZero() { // it was not on its way in between
			at, err = redriven, nil
		}
		if err != nil || at.After(stored) { // written by another program
			at = stored
		}
		if b.oldest.IsZero() || at.Before(b.oldest) {
			b.oldest = at
		}
		return nil
	}))
}
