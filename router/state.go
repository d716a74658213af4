package router

import (
	"context"
	"time"

	"eventserver/infra"
	"eventserver/metrics"
)

// state is what metrics ask at each scrape.
func (r *running) state() metrics.State {
	r.mu.Lock()
	s := metrics.State{Lag: r.lag}
	r.mu.Unlock()
	s.InFlight = len(r.gate.slots)
	s.BreakerOpen = r.gate.breaker.isOpen()
	for stage, src := range map[string]source{stageTransform: r.transform, stageDeliver: r.deliver} {
		reader := metrics.Reader{Stage: stage}
		if st, ok := src.Subscriber.(infra.Stater); ok {
			now := st.Stats()
			reader.Window, reader.Deferred, reader.MetadataBytes = now.Window, now.Deferred, now.MetadataBytes
			reader.MetadataFull, reader.Suppressed = now.MetadataFull, now.Suppressed
		}
		s.Readers = append(s.Readers, reader)
	}
	if o := r.deliver.ordered; o != nil {
		st := o.State()
		s.Buffered, s.BlockedKeys, s.OldestBlocked, s.Oldest = st.Held, st.BlockedKeys, st.OldestBlocked, st.Oldest
	}
	return s
}

// lagInterval bounds what asking the broker costs.
const lagInterval = 5 * time.Second

func (p *Pipeline) watchLag(ctx context.Context) {
	reader, ok := p.cfg.Broker.(infra.LagReader)
	if !ok {
		return
	}
	tick := time.NewTicker(lagInterval)
	defer tick.Stop()
	for {
		for _, d := range p.dests {
			d.refreshLag(ctx, reader)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *running) refreshLag(ctx context.Context, reader infra.LagReader) {
	lag := []metrics.Lag{
		{Topic: EventsTopic, Group: TransformGroup(r.id)},
		{Topic: DestinationTopic(r.id), Group: DeliverGroup(r.id)},
	}
	for i := range lag {
		n, err := reader.Lag(ctx, lag[i].Group, lag[i].Topic)
		if err != nil {
			return // the last known value stays until the broker answers
		}
		lag[i].Messages = n
	}
	r.mu.Lock()
	r.lag = lag
	r.mu.Unlock()
}
