package app

import (
	"context"
	"fmt"
	"time"

	"eventserver/infra"
	"eventserver/router/record"
)

// deliveredPoll is how often WaitDelivered asks the broker.
const deliveredPoll = 10 * time.Millisecond

// WaitDelivered returns when no destination has anything left to do: each event that was
// accepted before the call is delivered, not wanted, or in a poison queue. It is meant for
// tests; it asks the broker every 10 ms. The error wraps that of ctx and names a
// destination that has not finished.
func (a *App) WaitDelivered(ctx context.Context) error {
	for {
		left, err := a.unfinished(ctx)
		switch {
		case ctx.Err() != nil && left != "":
			return fmt.Errorf("%s: %w", left, ctx.Err())
		case err != nil:
			return err
		case left == "":
			return nil
		}
		timer := time.NewTimer(deliveredPoll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s: %w", left, ctx.Err())
		case <-timer.C:
		}
	}
}

// unfinished names a destination that has something to do; "": none has. What the first
// stage has finished the second one has received, so they are asked in that order.
func (a *App) unfinished(ctx context.Context) (string, error) {
	var ids []string
	var transform, deliver []infra.GroupTopic
	for _, d := range a.Config().Destinations {
		ids = append(ids, d.ID)
		transform = append(transform, infra.GroupTopic{Group: record.TransformGroup(d.ID), Topic: record.EventsTopic})
		deliver = append(deliver, infra.GroupTopic{Group: record.DeliverGroup(d.ID), Topic: record.DestinationTopic(d.ID)})
	}
	for _, stage := range [][]infra.GroupTopic{transform, deliver} {
		if len(stage) == 0 {
			continue
		}
		for i, p := range a.broker.Progress(ctx, stage...) {
			if p.Err != nil {
				return ids[i], p.Err
			}
			if lag := infra.Lag(p.Partitions); lag > 0 {
				return fmt.Sprintf("destination %s has %d records of topic %s to do", ids[i], lag, stage[i].Topic), nil
			}
		}
	}
	return "", nil
}
