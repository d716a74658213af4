package local

import (
	"context"

	"eventserver/infra"
)

// Trim implements infra.LogTopics.
func (l *Log) Trim(ctx context.Context, name string, below map[int32]int64) error {
	if err := l.writable(); err != nil {
		return err
	}
	t, err := l.topic(name)
	if err != nil {
		return err
	}
	for n := range below {
		if _, err := t.partition(n); err != nil {
			return err
		}
	}
	r := newRequest()
	r.encode = func(g *group) error {
		if t.deleted.Load() {
			return errNoTopic(name)
		}
		for n, offset := range below {
			p := t.parts[n]
			if what := p.trim(g, offset); what.From < what.To {
				g.onStored = append(g.onStored, func() { l.reclaimer.addTrimmed(p, what) })
			}
		}
		return nil
	}
	return l.do(ctx, r)
}

// trim deletes the records below offset, and returns the range that existed.
func (p *partition) trim(g *group, offset int64) infra.Span {
	p.mu.Lock()
	from, to := p.low, min(offset, p.end)
	if to <= from {
		p.mu.Unlock()
		return infra.Span{}
	}
	p.low = to // before they are gone: a reader that misses them looks here
	p.tail.drop(to)
	p.mu.Unlock()
	_ = g.batch.DeleteRange(
		appendRecordKey(nil, p.topic.id, p.n, from),
		appendRecordKey(nil, p.topic.id, p.n, to), nil)
	_ = g.batch.Set(appendPartKey(nil, spaceEnd, p.topic.id, p.n), encodeEnds(to, p.next), nil)
	return infra.Span{From: from, To: to}
}

var _ infra.LogTopics = (*Log)(nil)
