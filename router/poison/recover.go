package poison

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/record"
)

// recover writes the marks that runs which were killed did not get to write:
// the destination's topic has what they had sent.
func (j *job) recover(ctx context.Context) error {
	for _, k := range append([]*holder(nil), j.lease.known.killed...) {
		if k.Action == actionRedrive {
			if err := j.recoverOne(ctx, k); err != nil {
				return err
			}
		}
		if err := j.lease.end(k.Run); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) recoverOne(ctx context.Context, k *holder) error {
	topic := record.DestinationTopic(j.destination)
	bounds, err := j.s.cfg.Broker.Bounds(ctx, topic, time.Time{})
	if err != nil {
		return err
	}
	gone := false
	ranges := map[int32]infra.Range{}
	for p, b := range bounds {
		gone = gone || b.Oldest > k.From[p]
		ranges[p] = infra.Range{From: max(k.From[p], b.Oldest), To: b.End}
	}
	var found []step
	mark := func() error {
		n := len(found)
		if err := j.mark(ctx, found); err != nil {
			return err
		}
		j.note(func(r *Run) { r.Recovered += n })
		found = found[:0]
		return nil
	}
	if err := j.s.cfg.Broker.Scan(ctx, topic, ranges, func(m *message.Message, _ time.Time) error {
		r, ok := record.DecodeRedrive(m)
		if !ok || r.Run != k.Run {
			return nil
		}
		g := record.DecodePoison(j.destination, m)
		waits, _, err := j.q.open(ctx, r.Of, g.Key)
		if err != nil || !waits {
			return err
		}
		found = append(found, step{key: g.Key, mark: record.Mark{Kind: record.MarkRedriven, Of: r.Of, By: k.By, Run: k.Run, EventID: g.EventID, At: r.At}})
		if len(found) < maxBatch {
			return nil
		}
		return mark()
	}); err != nil {
		return err
	}
	if len(found) > 0 {
		if err := mark(); err != nil {
			return err
		}
	}
	if gone && !j.order.Again {
		return conflict(fmt.Sprintf("redrive %s of %s by %s was killed about %s, and part of topic %s from then is deleted: "+
			"which of the items given up before that it had sent cannot be looked up any more (poison list --destination %s --until %s shows them); "+
			"with again they are redriven, and receivers may see some twice, with the same delivery id",
			k.Run, j.destination, k.By, stamp(k.last), topic, j.destination, stamp(k.last)))
	}
	return nil
}
