package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/attempt"
	"eventserver/router/control"
	"eventserver/router/plural"
	"eventserver/router/poison"
	"eventserver/router/record"
)

// steering is the destinations' and the reload's part of the admin API.
type steering struct{ app *App }

// Destinations implements admin.Destinations.
func (s steering) Destinations(ctx context.Context) ([]admin.DestinationState, error) {
	const patience = 2 * time.Second // with a broker that does not answer; then it is as it was last seen
	ask, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.app.pipeline.Refresh(ask)
	now := time.Now()
	all := []admin.DestinationState{}
	for _, d := range s.app.Destinations() {
		all = append(all, stateOf(d, now))
	}
	countPoison(ask, s.app.poison, all)
	return all, nil
}

// countPoison fills in how much each poison queue has, as far as ctx allows: a long
// one that was never read takes more than one look.
func countPoison(ctx context.Context, p *poison.Service, all []admin.DestinationState) {
	const atOnce = 8
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range all {
		g.Go(func() error {
			if n, err := p.Waiting(ctx, all[i].ID); err == nil {
				all[i].Poison = &n
			}
			return nil
		})
	}
	_ = g.Wait() // none of them has an error
}

func stateOf(s router.Status, now time.Time) admin.DestinationState {
	d := admin.DestinationState{
		ID: s.ID, Kind: s.Kind, State: s.State, Why: s.Why(now), Paused: steered(s.Pause), Replay: steered(s.Replay),
		Breaker: admin.BreakerState{Open: s.Breaker.Open, Since: given(s.Breaker.Since), Until: given(s.Breaker.Until), Cause: s.Breaker.Cause},
		Hold:    admin.HoldState{Held: s.Hold.Held, Stage: s.Hold.Stage, Since: given(s.Hold.Since), Until: given(s.Hold.Until), Cause: s.Hold.Cause},
		Groups:  []admin.GroupLag{}, Waits: s.Waits, Oldest: given(s.Oldest), InFlight: s.InFlight, Concurrency: s.Concurrency, Buffered: s.Buffered,
		Problems:    append([]string{}, s.Problems(now)...),
		Failing:     failing(s.Failing),
		BlockedKeys: s.BlockedKeys, BlockedBy: s.BlockedBy, BlockedSince: given(s.OldestBlocked), HasPartitions: s.Assigned,
	}
	for _, l := range s.Lag {
		d.Groups = append(d.Groups, admin.GroupLag{Group: l.Group, Topic: l.Topic, Messages: l.Messages})
		d.Lag += l.Messages
	}
	return d
}

func failing(f *attempt.Failing) *admin.Failing {
	if f == nil {
		return nil
	}
	return &admin.Failing{Attempts: f.Attempts, Since: f.Since.UTC(), Last: f.Last}
}

func steered(n *router.Note) *admin.Steered {
	if n == nil {
		return nil
	}
	return &admin.Steered{By: n.By, Why: n.Why, At: n.At}
}

func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Stuck implements admin.Stuck.
func (s steering) Stuck(id string, n int) []admin.StuckKey {
	keys := []admin.StuckKey{}
	longest, _ := s.app.pipeline.Blocked(id, n)
	for _, w := range longest {
		since := w.Blocked
		if since.IsZero() {
			since = w.Since
		}
		keys = append(keys, admin.StuckKey{Key: w.Key, EventID: w.EventID, Type: w.EventType, Reason: w.Reason, Since: given(since), Next: given(w.Next),
			Attempts: w.Attempts, Counted: w.Counted, Limit: w.Limit, Last: w.Last, Waiting: w.Waiting + w.Deferred})
	}
	return keys
}

// Steer implements admin.Destinations.
func (s steering) Steer(ctx context.Context, o admin.Steer) (admin.SteerAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	a := admin.SteerAnswer{ID: o.ID}
	var err error
	if o.Pause {
		err = s.app.Pause(ctx, o.ID, o.By, o.Why, o.Absent)
	} else {
		a.Ended, err = s.app.Resume(ctx, o.ID, o.By, o.Absent, o.AcceptFailures)
	}
	return a, answered(err)
}

// Retry implements admin.Destinations.
func (s steering) Retry(ctx context.Context, o admin.RetryOrder) (admin.RetryAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	w, err := s.app.RetryNow(ctx, o.ID, o.Key, o.By)
	return admin.RetryAnswer{ID: o.ID, Pause: w.Pause, Backoffs: w.Backoffs}, answered(err)
}

// Replay implements admin.Destinations.
func (s steering) Replay(ctx context.Context, o admin.ReplayOrder) (admin.ReplayAnswer, error) {
	var plan ReplayPlan
	var err error
	switch {
	case o.DryRun:
		plan, err = s.app.PlanReplay(ctx, o.ID, o.Since)
	case o.Confirm == nil:
		if plan, err = s.app.PlanReplay(ctx, o.ID, o.Since); err == nil {
			err = admin.Conflict(fmt.Sprintf("%s would be sent again; give that number as confirm", plural.Count(plan.Events, "event")))
		}
	default:
		plan, err = s.app.Replay(ctx, o.ID, o.Since, o.By, *o.Confirm)
	}
	a := admin.ReplayAnswer{ID: o.ID, Since: plan.Since, DryRun: o.DryRun, Events: plan.Events, Partitions: []admin.ReplayPartition{}, Gone: plan.Gone, OldestKept: plan.OldestKept}
	for _, p := range plan.Partitions {
		a.Partitions = append(a.Partitions, admin.ReplayPartition(p))
	}
	return a, answered(err)
}

// Leftovers implements admin.Forgetting.
func (s steering) Leftovers(ctx context.Context) ([]admin.Leftover, error) {
	all, err := s.app.Leftovers(ctx)
	var out []admin.Leftover
	for _, l := range all {
		out = append(out, admin.Leftover{ID: l.ID, Undelivered: l.Undelivered, Poison: l.Poison})
	}
	return out, err
}

// Forget implements admin.Forgetting.
func (s steering) Forget(ctx context.Context, o admin.ForgetOrder) (admin.ForgetAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	var l Leftover
	var err error
	switch {
	case !o.DryRun && o.Confirm != nil:
		l, err = s.app.Forget(ctx, o.ID, o.Poison, o.By, *o.Confirm)
	default:
		l, err = s.app.PlanForget(ctx, o.ID)
		if err == nil && !o.DryRun {
			err = admin.Conflict(fmt.Sprintf("%s would be lost; give that number as confirm", plural.Count(l.Lost(o.Poison), "event")))
		}
	}
	a := admin.ForgetAnswer{Leftover: admin.Leftover{ID: o.ID, Undelivered: l.Undelivered, Poison: l.Poison}, DryRun: o.DryRun, Lost: l.Lost(o.Poison)}
	return a, answered(err)
}

// Reload implements admin.Reloading.
func (s steering) Reload(ctx context.Context, by string) (admin.ReloadAnswer, error) {
	c, err := s.app.ReloadSource(ctx, by)
	list := func(ids []string) []string { return append([]string{}, ids...) }
	a := admin.ReloadAnswer{Added: list(c.Added), Changed: list(c.Changed), Removed: list(c.Removed), Unchanged: list(c.Unchanged), Undelivered: c.Undelivered, LogLevel: c.LogLevel, Schemas: c.Schemas}
	if err != nil {
		what := "nothing has changed: "
		if !c.None() {
			what = fmt.Sprintf("added %v, changed %v, removed %v; not everything: ", c.Added, c.Changed, c.Removed)
		}
		err = admin.Conflict(what + err.Error())
	}
	return a, err
}

// LastFailure implements admin.Reloading.
func (s steering) LastFailure() *admin.ReloadFailure {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	return s.app.failure
}

// answered is err as the API tells it.
func answered(err error) error {
	var unknown *UnknownDestinationError
	switch {
	case errors.As(err, &unknown):
		return admin.NotFound(err.Error())
	case errors.Is(err, ErrReplayChanged), errors.Is(err, ErrBusy), errors.Is(err, ErrPaused),
		errors.Is(err, ErrConfigured), errors.Is(err, ErrForgetChanged), errors.Is(err, infra.ErrGroupBusy):
		return admin.Conflict(err.Error())
	case errors.Is(err, ErrSince):
		return admin.Invalid(err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, control.ErrEnded): // mostly the broker is away
		return admin.Unavailable(err.Error())
	}
	return err
}

// LookAtDestinations tells of destinations what their broker alone says: lag and
// the oldest event, of the groups' commits. The server may run or not.
func LookAtDestinations(ctx context.Context, cfg *config.Config, o Options) ([]admin.DestinationState, error) {
	log := o.logger()
	broker, err := o.openBeside(ctx, cfg, log, true)
	if err != nil {
		return nil, err
	}
	queues, err := poison.New(poison.Config{Broker: broker, Destinations: func() []string { return ids(cfg) }, Again: neverAgain})
	if err != nil {
		return nil, errors.Join(err, broker.Close())
	}
	all := []admin.DestinationState{}
	for _, d := range cfg.Destinations {
		var s router.Status
		if s, err = router.Look(ctx, broker, d.ID); err != nil {
			break
		}
		state := stateOf(s, time.Now())
		state.Kind, state.State, state.Why = d.Kind, "unknown", "no server was asked"
		state.Concurrency = d.Concurrency
		all = append(all, state)
	}
	countPoison(ctx, queues, all)
	return all, errors.Join(err, queues.Close(), broker.Close())
}

// neverAgain is for a look that redrives nothing.
func neverAgain(context.Context, string, *message.Message, record.Redrive) (*message.Message, error) {
	return nil, errors.New("nothing is redriven here")
}
