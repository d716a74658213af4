package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"eventserver/router"
	"eventserver/router/control"
	"eventserver/router/plural"
	"eventserver/router/record"
)

// Leftover is what a destination that is not in the configuration has on the broker.
type Leftover struct {
	ID          string
	Undelivered int64 // events that it has not been sent; they hold back trimming on the embedded broker
	Poison      int64 // items of its poison queue that wait for an operator
	InUse       bool  // another program works on it
	topics      []string
}

var (
	// ErrConfigured is the error of a Forget of a destination that is in use.
	ErrConfigured = errors.New("the destination is in use")
	// ErrForgetChanged is the error of a Forget whose count is no longer what was confirmed.
	ErrForgetChanged = errors.New("the count is not what was confirmed")
)

// Leftovers are those of all destinations that were removed from the configuration
// and still hold something, by id. What another program works on is none.
func (a *App) Leftovers(ctx context.Context) ([]Leftover, error) {
	topics, err := a.topicsOf(ctx)
	if err != nil {
		return nil, err
	}
	var out []Leftover
	for id := range topics {
		if a.known(id) == nil {
			continue
		}
		l, err := a.leftover(ctx, id, topics[id])
		if err != nil {
			return nil, fmt.Errorf("destination %s: %w", id, err)
		}
		empty := l.Poison == 0 && !slices.Contains(l.topics, record.DestinationTopic(id))
		if !l.InUse && !empty {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(x, y Leftover) int { return strings.Compare(x.ID, y.ID) })
	return out, nil
}

// topicsOf are the topics of each destination, configured or not.
func (a *App) topicsOf(ctx context.Context) (map[string][]string, error) {
	all, err := a.broker.Topics(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, name := range all {
		for _, prefix := range []string{record.DestinationTopic(""), record.PoisonTopic("")} {
			if id, ok := strings.CutPrefix(name, prefix); ok && id != "" {
				out[id] = append(out[id], name)
			}
		}
	}
	return out, nil
}

func (a *App) leftover(ctx context.Context, id string, topics []string) (Leftover, error) {
	l := Leftover{ID: id, topics: topics}
	for _, group := range []string{record.TransformGroup(id), record.DeliverGroup(id)} {
		members, err := a.broker.Members(ctx, group)
		if err != nil {
			return l, err
		}
		l.InUse = l.InUse || len(members) > 0
	}
	if slices.Contains(topics, record.DestinationTopic(id)) {
		var err error
		if l.Undelivered, err = a.undelivered(ctx, id); err != nil {
			return l, err
		}
	}
	if a.poison != nil && slices.Contains(topics, record.PoisonTopic(id)) {
		var err error
		if l.Poison, err = a.poison.Waiting(ctx, id); err != nil {
			return l, err
		}
	}
	return l, nil
}

// undelivered counts the events that a destination has not been sent.
func (a *App) undelivered(ctx context.Context, id string) (n int64, err error) {
	s, err := router.Look(ctx, a.broker, id)
	for _, l := range s.Lag {
		n += l.Messages
	}
	return n, err
}

// Lost is how many events a Forget loses.
func (l Leftover) Lost(poison bool) int64 {
	if poison {
		return l.Undelivered + l.Poison
	}
	return l.Undelivered
}

// PlanForget counts what a Forget of a destination would delete. It changes nothing.
func (a *App) PlanForget(ctx context.Context, id string) (Leftover, error) {
	if a.known(id) == nil {
		return Leftover{ID: id}, fmt.Errorf("%w: %s is in the configuration; remove it there and reload first", ErrConfigured, id)
	}
	topics, err := a.topicsOf(ctx)
	if err != nil {
		return Leftover{ID: id}, err
	}
	if len(topics[id]) == 0 {
		return Leftover{ID: id}, &UnknownDestinationError{ID: id, There: ids(a.Config())}
	}
	if err := a.leave(ctx, id); err != nil {
		return Leftover{ID: id}, err
	}
	l, err := a.leftover(ctx, id, topics[id])
	if err == nil && l.InUse {
		err = fmt.Errorf("%w: another process reads in its groups; remove it there, and wait for broker.session_timeout where that process was killed", ErrConfigured)
	}
	return l, err
}

// leave gives up the places in the groups that this process kept for a restart.
func (a *App) leave(ctx context.Context, id string) error {
	return errors.Join(a.broker.Leave(ctx, record.TransformGroup(id)), a.broker.Leave(ctx, record.DeliverGroup(id)))
}

// Forget deletes the consumer groups and the topic of a destination that was removed
// from the configuration, so that its undelivered events are lost and hold back
// nothing. Its poison queue goes only with poison. confirm is what a PlanForget said
// would be lost. Done twice it does what is left to do.
func (a *App) Forget(ctx context.Context, id string, poison bool, by string, confirm int64) (Leftover, error) {
	select {
	case a.reloads <- struct{}{}: // none adds it meanwhile
		defer func() { <-a.reloads }()
	case <-ctx.Done():
		return Leftover{ID: id}, fmt.Errorf("a reload is under way: %w", ctx.Err())
	}
	l, err := a.PlanForget(ctx, id)
	if err != nil {
		return l, err
	}
	if lost := l.Lost(poison); !confirmed(lost, confirm) {
		return l, fmt.Errorf("%w: %d would be lost, and %s confirmed; look at the dry run again", ErrForgetChanged, lost, plural.Count(confirm, "was", "were"))
	}
	// From here on whoever asked may go away: it is not left half done.
	ctx, cancel := context.WithTimeout(a.life, controlTimeout)
	defer cancel()
	for _, kind := range []string{control.Pause, control.Replay, control.From} {
		if r, ok := a.control.Last(kind, id); ok && (r.On || len(r.Data) > 0) {
			if _, err := a.control.Put(ctx, control.Record{Kind: kind, Destination: id, By: by}); err != nil {
				return l, err
			}
		}
	}
	if err := a.broker.DeleteGroups(ctx, record.TransformGroup(id), record.DeliverGroup(id)); err != nil {
		return l, err
	}
	topics := []string{record.DestinationTopic(id)}
	if poison {
		topics = append(topics, record.PoisonTopic(id))
	}
	err = a.broker.DeleteTopics(ctx, topics...)
	if poison && a.poison != nil {
		a.poison.Drop(id)
	}
	return l, err
}

// undeliveredOf counts what removed destinations have not been sent, as far as the
// broker says so in a moment.
func (a *App) undeliveredOf(removed []string) map[string]int64 {
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(a.life, patience)
	defer cancel()
	out := map[string]int64{}
	for _, id := range removed {
		if n, err := a.undelivered(ctx, id); err == nil && n > 0 {
			out[id] = n
		}
	}
	return out
}
