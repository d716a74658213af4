package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/control"
	"eventserver/router/plural"
	"eventserver/router/record"
)

// ReplayPlan is what a replay would do.
type ReplayPlan struct {
	Destination string            `json:"destination"`
	Since       time.Time         `json:"since"`
	Events      int64             `json:"events"` // that are done and will be transformed again
	Partitions  []ReplayPartition `json:"partitions"`
	// Gone is how many events of before OldestKept are no longer there, at most:
	// those of after Since among them cannot be replayed. 0: everything is there.
	Gone       int64      `json:"gone"`
	OldestKept *time.Time `json:"oldest_kept,omitempty"`

	to map[int32]int64 // where each partition is set to
}

// ErrSince is the error of a replay of a time that cannot be.
var ErrSince = errors.New("since")

// ErrBusy is the error of what cannot be done while a replay is under way.
var ErrBusy = errors.New("a replay of it is under way")

// ReplayPartition is a partition that is set back.
type ReplayPartition struct {
	Partition int32 `json:"partition"`
	From      int64 `json:"from"` // the offset that it is set back to
	Next      int64 `json:"next"` // the first that was not done
	Events    int64 `json:"events"`
}

// PlanReplay counts what a replay of a destination from since on would do. It
// changes nothing.
func (a *App) PlanReplay(ctx context.Context, id string, since time.Time) (ReplayPlan, error) {
	if err := a.known(id); err != nil {
		return ReplayPlan{}, err
	}
	return planReplay(ctx, a.broker, id, since)
}

func planReplay(ctx context.Context, broker infra.Broker, id string, since time.Time) (ReplayPlan, error) {
	plan := ReplayPlan{Destination: id, Since: since.UTC(), Partitions: []ReplayPartition{}, to: map[int32]int64{}}
	if since.IsZero() || since.After(time.Now()) {
		return plan, fmt.Errorf("%w: give a time that has passed", ErrSince)
	}
	bounds, err := broker.Bounds(ctx, record.EventsTopic, since)
	if err != nil {
		return plan, err
	}
	progress, err := infra.ProgressOf(ctx, broker, record.TransformGroup(id), record.EventsTopic)
	if err != nil {
		return plan, err
	}
	first := map[int32]infra.Range{}
	for p, b := range bounds {
		if b.At == b.Oldest && b.Oldest > 0 { // what was before may have been of that time, too
			plan.Gone += b.Oldest
			if b.End > b.Oldest {
				first[p] = infra.Range{From: b.Oldest, To: b.Oldest + 1}
			}
		}
		r, again := back(p, b, progress[p])
		if again {
			plan.Partitions = append(plan.Partitions, r)
			plan.Events += r.Events
		}
		// One that stays where it is is set there too: what was transformed and not
		// committed, as by an instance that was killed, is then made again.
		if again || len(progress[p].Above) == 0 {
			plan.to[p] = r.From
		}
	}
	slices.SortFunc(plan.Partitions, func(x, y ReplayPartition) int { return cmp.Compare(x.Partition, y.Partition) })
	err = broker.Scan(ctx, record.EventsTopic, first, func(_ *message.Message, at time.Time) error {
		if at = at.UTC(); plan.OldestKept == nil || at.After(*plan.OldestKept) {
			plan.OldestKept = &at
		}
		return nil
	})
	return plan, err
}

// back says where a partition is set back to: never forward. What is done above
// the first undone event is done again with it, which a commit cannot leave out.
func back(n int32, b infra.Bounds, p infra.Progress) (ReplayPartition, bool) {
	r := ReplayPartition{Partition: n, From: min(b.At, p.Next), Next: p.Next, Events: max(p.Next-b.At, 0)}
	again := b.At < p.Next
	for _, s := range p.Above {
		r.Events += s.To - s.From
		again = again || s.To > b.At
	}
	return r, again
}

// ErrReplayChanged is the error of a Replay whose count is no longer what was
// confirmed.
var ErrReplayChanged = errors.New("the count is not what was confirmed")

// confirmed says whether events is about what somebody was told: more may have
// been done since.
func confirmed(events, told int64) bool {
	return events >= told && events-told <= max(1000, told/10)
}

// Replay sets a destination back, so that it gets again what was accepted since
// then, in order and with the same ids and sequences. confirm is the count of a
// PlanReplay. It returns when the destination transforms again; one that fails
// has changed nothing unless the error says otherwise.
func (a *App) Replay(ctx context.Context, id string, since time.Time, by string, confirm int64) (ReplayPlan, error) {
	plan, err := a.PlanReplay(ctx, id, since)
	switch {
	case err != nil:
		return plan, err
	case !confirmed(plan.Events, confirm):
		return plan, fmt.Errorf("%w: %s would be sent again, and %s confirmed; look at the dry run again", ErrReplayChanged, plural.Count(plan.Events, "event"), plural.Count(confirm, "was", "were"))
	case plan.Events == 0:
		return plan, nil
	}
	a.mu.Lock()
	r, begun := a.control.Last(control.Replay, id)
	if a.replays[id] || begun && r.On {
		a.mu.Unlock()
		return plan, fmt.Errorf("%w since %s by %s; `resume` ends one that was cut short", ErrBusy, r.At.Format(time.RFC3339), r.By)
	}
	a.replays[id] = true
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.replays, id)
		a.mu.Unlock()
	}()
	// From here on whoever asked may go away: it is not left half done.
	ctx, cancel := context.WithTimeout(a.life, a.replayTimeout())
	defer cancel()
	data, err := json.Marshal(plan)
	if err != nil {
		return plan, err
	}
	record := control.Record{Kind: control.Replay, Destination: id, On: true, By: by, Why: "since " + plan.Since.Format(time.RFC3339), Data: data}
	if _, err := a.control.Put(ctx, record); err != nil {
		return plan, err
	}
	plan, err = a.reset(ctx, plan)
	end, cancelEnd := context.WithTimeout(a.life, controlTimeout)
	defer cancelEnd()
	_, endErr := a.control.Put(end, control.Record{Kind: control.Replay, Destination: id, By: by})
	if endErr != nil {
		endErr = fmt.Errorf("the replay is not ended; `resume` ends it: %w", endErr)
	}
	return plan, errors.Join(err, endErr)
}

// replayTimeout is longer than a silent instance keeps its place in the group.
func (a *App) replayTimeout() time.Duration {
	return a.cfg.Broker.SessionTimeout + releaseTimeout(a.Config()) + controlTimeout
}

// reset waits until nobody reads in the group and sets it back.
func (a *App) reset(ctx context.Context, plan ReplayPlan) (ReplayPlan, error) {
	group := record.TransformGroup(plan.Destination)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		members, err := a.broker.Members(ctx, group)
		if err == nil && len(members) == 0 {
			var now ReplayPlan
			if now, err = planReplay(ctx, a.broker, plan.Destination, plan.Since); err != nil { // as it is now that nothing moves
				return plan, fmt.Errorf("nothing was set back: %w", err)
			}
			if err = a.broker.Reset(ctx, group, record.EventsTopic, now.to); err == nil {
				return now, nil
			}
		}
		if err != nil && !errors.Is(err, infra.ErrGroupBusy) {
			return plan, fmt.Errorf("the group was not set back: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return plan, fmt.Errorf("nothing was set back: an instance does not leave the group %s: %w", group, ctx.Err())
		}
	}
}

// followReplays has the pipeline leave the groups that are being set back, and
// join them again.
func (a *App) followReplays(ctx context.Context) {
	for _, r := range a.control.Records() {
		if r.Kind != control.Replay || a.suspended[r.Destination] == r.On {
			continue
		}
		if !r.On {
			a.log.Info("replay has ended", slog.String("destination", r.Destination), slog.String("by", r.By))
			if err := a.pipeline.Proceed(ctx, r.Destination); err != nil && ctx.Err() == nil {
				a.log.Error("the destination does not go on after a replay", slog.String("destination", r.Destination), slog.Any("error", err))
			}
			a.suspended[r.Destination] = false
			continue
		}
		a.log.Info("replay begins", slog.String("destination", r.Destination), slog.String("by", r.By), slog.String("what", r.Why))
		bound, cancel := context.WithTimeout(ctx, releaseTimeout(a.Config()))
		err := errors.Join(a.pipeline.Suspend(bound, r.Destination, noteOf(r)), a.broker.Leave(bound, record.TransformGroup(r.Destination)))
		cancel()
		if err != nil {
			a.log.Warn("a destination that is replayed did not leave its group cleanly", slog.String("destination", r.Destination), slog.Any("error", err))
		}
		a.suspended[r.Destination] = true
	}
}

// endOwnReplays ends what this instance began before it was killed. Whether the
// group was set back by then, its lag says.
func (a *App) endOwnReplays(ctx context.Context) {
	for _, r := range a.control.Records() {
		if r.Kind != control.Replay || !r.On || r.Instance != a.cfg.Broker.InstanceID {
			continue
		}
		a.log.Warn("a replay was cut short by a restart and is ended; look at the destination's lag, and replay it again if it was not set back",
			slog.String("destination", r.Destination), slog.String("by", r.By), slog.String("what", r.Why))
		bound, cancel := context.WithTimeout(ctx, controlTimeout)
		_, err := a.control.Put(bound, control.Record{Kind: control.Replay, Destination: r.Destination, By: "restart"})
		cancel()
		if err != nil && ctx.Err() == nil {
			a.log.Error("a replay that was cut short is not ended; `resume` ends it", slog.String("destination", r.Destination), slog.Any("error", err))
		}
	}
}
