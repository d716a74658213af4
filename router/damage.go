package router

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/plural"
	"eventserver/router/record"
)

// Damage is what cannot be read of what the broker has stored. The broker tells it,
// and is open before there is a pipeline. It lasts as long as the process: a repair
// needs the server stopped.
type Damage struct {
	metrics *metrics.Metrics
	log     *slog.Logger

	mu     sync.Mutex
	files  []string
	passed map[string]*passed // by destination
}

// passed is what was not given to a destination.
type passed struct {
	records int64
	last    string
	spans   map[place][]infra.Span // apart and in order: a group may come by again, at another offset
}

type place struct {
	topic     string
	partition int32
}

// add returns how many records of a span were not in it yet.
func (p *passed) add(at place, s infra.Span) (n int64) {
	s.To = max(s.To, s.From+1)
	n = s.To - s.From
	spans := p.spans[at]
	from, _ := slices.BinarySearchFunc(spans, s.From, func(o infra.Span, offset int64) int { return cmp.Compare(o.To, offset) })
	to := from
	for ; to < len(spans) && spans[to].From <= s.To; to++ {
		o := spans[to]
		n -= max(min(o.To, s.To)-max(o.From, s.From), 0)
		s = infra.Span{From: min(o.From, s.From), To: max(o.To, s.To)}
	}
	p.spans[at] = slices.Replace(spans, from, to, s)
	p.records += n
	return n
}

// NewDamage is for a broker that is opened next.
func NewDamage(m *metrics.Metrics, log *slog.Logger) *Damage {
	return &Damage{metrics: m, log: log, passed: map[string]*passed{}}
}

// Met is told of damage, whoever came by.
func (d *Damage) Met(e *infra.DamageError) {
	d.metrics.BrokerDamaged.Set(1)
	if e.File == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.files, e.File) {
		d.files = append(d.files, e.File)
		d.log.Error("a file of the broker is damaged; look up EventServerBrokerDamaged in docs/runbooks.md", slog.String("file", e.File), slog.Any("error", e.Err))
	}
}

// Passed is told of records that a consumer group was not given.
func (d *Damage) Passed(group string, e *infra.DamageError) {
	d.Met(e)
	_, id, ok := strings.Cut(group, ".")
	if !ok || group != record.TransformGroup(id) && group != record.DeliverGroup(id) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.passed[id]
	if p == nil {
		p = &passed{spans: map[place][]infra.Span{}}
		d.passed[id] = p
	}
	n := p.add(place{e.Topic, e.Partition}, e.Offsets)
	if n == 0 {
		return
	}
	p.last = fmt.Sprintf("topic %s, partition %d, offsets %d to %d", e.Topic, e.Partition, e.Offsets.From, e.Offsets.To-1)
	d.metrics.Unreadable(id, n)
}

// problems are what a destination has to say of it.
func (d *Damage) problems(id string) (all []string) {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.passed[id]; p != nil {
		all = append(all, plural.Count(p.records, "record cannot be read and was passed over", "records cannot be read and were passed over")+", the last at "+p.last)
	}
	if len(d.files) > 0 {
		all = append(all, "the broker has damaged files, and what is in them may be lost: "+strings.Join(d.files, ", "))
	}
	return all
}
