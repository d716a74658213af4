package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/router/control"
	"eventserver/router/record"
)

// beginning is what a control record of a new destination carries: by partition of
// the topic of events, the offset that its transform group begins at.
type beginning struct {
	Offsets map[int32]int64 `json:"offsets"`
}

// appear has the new destinations begin where their from says. A destination is new
// when it has no topic yet. The offsets are decided once, in a control record, before
// the topic is made, and a second record ends that when the group has them: a kill
// in between is made up for at the next start, and nothing is decided again later.
// The second one keeps the offsets, which explain asks for.
//
//	no topic, no record      decide > record > topics > group > end
//	record that has not ended          topics > group > end
//	anything else            it appeared before: from means nothing any more
func (a *App) appear(ctx context.Context, all []config.Destination, put func(context.Context, control.Record) error) error {
	for i := range all {
		d := &all[i]
		last, recorded := a.control.Last(control.From, d.ID)
		open := recorded && last.On
		if oldest, _ := d.Begins(); oldest && !open {
			continue
		}
		if !open {
			isNew, err := a.isNew(ctx, d.ID)
			if err != nil {
				return fmt.Errorf("destination %s: %w", d.ID, err)
			}
			if !isNew {
				continue
			}
			if err := a.decide(ctx, d, put); err != nil {
				return fmt.Errorf("destination %s: from: %w", d.ID, err)
			}
		}
		if err := a.begin(ctx, d, put); err != nil {
			return fmt.Errorf("destination %s: from: %w", d.ID, err)
		}
	}
	return nil
}

// isNew reports whether a destination has never been there: it has no topic.
func (a *App) isNew(ctx context.Context, id string) (bool, error) {
	_, err := a.broker.Bounds(ctx, record.DestinationTopic(id), time.Time{})
	if errors.Is(err, infra.ErrNoTopic) {
		return true, nil
	}
	return false, err
}

// decide records where a new destination begins.
func (a *App) decide(ctx context.Context, d *config.Destination, put func(context.Context, control.Record) error) error {
	_, since := d.Begins()
	bounds, err := a.broker.Bounds(ctx, record.EventsTopic, since)
	if err != nil {
		return err
	}
	b := beginning{Offsets: map[int32]int64{}}
	for p, at := range bounds {
		b.Offsets[p] = at.At
		if since.IsZero() { // now
			b.Offsets[p] = at.End
		}
	}
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return put(ctx, control.Record{Kind: control.From, Destination: d.ID, On: true, Why: "from " + d.From, Data: data})
}

// begin sets the group of a new destination to what was decided.
func (a *App) begin(ctx context.Context, d *config.Destination, put func(context.Context, control.Record) error) error {
	r, ok := a.control.Last(control.From, d.ID)
	if !ok || !r.On { // another instance has ended it
		return nil
	}
	var b beginning
	if err := json.Unmarshal(r.Data, &b); err != nil {
		return errors.New("its control record is not understood; it is of a later version of eventserver")
	}
	if err := a.broker.EnsureTopics(ctx, record.Topics(d.ID)...); err != nil {
		return err
	}
	group := record.TransformGroup(d.ID)
	progress, err := infra.ProgressOf(ctx, a.broker, group, record.EventsTopic)
	if err != nil {
		return err
	}
	to := map[int32]int64{}
	for p, at := range b.Offsets {
		if have, ok := progress[p]; ok && have.Next < at && len(have.Above) == 0 {
			to[p] = at
		}
	}
	if len(to) > 0 {
		err := a.broker.Reset(ctx, group, record.EventsTopic, to)
		if err != nil && !errors.Is(err, infra.ErrGroupBusy) { // busy: another instance has set it, and works
			return err
		}
	}
	a.log.Info("a new destination begins", slog.String("destination", d.ID), slog.String("from", d.From))
	return put(ctx, control.Record{Kind: control.From, Destination: d.ID, Why: r.Why, Data: r.Data})
}

// begins returns where a destination that did not begin at the oldest event began,
// by partition of the topic of events; nil: nothing is known of it.
func begins(log *control.Log) func(id string) map[int32]int64 {
	return func(id string) map[int32]int64 {
		r, ok := log.Last(control.From, id)
		var b beginning
		if !ok || len(r.Data) == 0 || json.Unmarshal(r.Data, &b) != nil {
			return nil
		}
		return b.Offsets
	}
}
