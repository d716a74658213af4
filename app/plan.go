package app

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"eventserver/app/config"
	"eventserver/app/schema"
	"eventserver/router"
)

// plan is a reload that has not begun.
type plan struct {
	next     *config.Config
	policy   *schema.Policy // nil: as it is
	level    string         // "": as it is
	added    []*served
	changed  []*served
	removed  []*served
	all      []*served // in next's order; those that do not change are the old ones
	prebuilt map[*served]router.Destination
}

// discard closes what was built and is not used.
func (p *plan) discard() error {
	var errs []error
	for s := range p.prebuilt {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

func (a *App) plan(next *config.Config) (*plan, error) {
	p := &plan{next: next, prebuilt: map[*served]router.Destination{}}
	now := a.Config()
	var errs []error
	judged := false // in another way
	for _, key := range now.Differences(next) {
		switch {
		case key == "log.level" && a.options.Level != nil:
			p.level = next.Log.Level
		case strings.HasPrefix(key, "schemas."): // not the section as a whole: it came or went
			judged = true
		default:
			errs = append(errs, fmt.Errorf("%s cannot change while the server runs; restart it, or set it back", key))
		}
	}
	policy, err := loadPolicy(next)
	errs = append(errs, err)
	if policy != nil && err == nil && a.contract != nil && (judged || !sameSchemas(a.contract.policy.Load(), policy)) {
		p.policy = policy
	}
	old := map[string]*served{}
	for _, s := range a.served {
		old[s.config.ID] = s
	}
	for i, c := range next.Destinations {
		s, err := newServed(a.kinds, c, int(next.HTTP.MaxEventBytes), a.contract)
		if err != nil {
			errs = append(errs, fmt.Errorf("destinations[%d] (%s): %w", i, c.ID, err))
			continue
		}
		was := old[c.ID]
		delete(old, c.ID)
		switch {
		case was == nil:
			p.added = append(p.added, s)
		case was.same(s):
			s = was
		default:
			p.changed = append(p.changed, s)
		}
		p.all = append(p.all, s)
	}
	for _, s := range a.served {
		if old[s.config.ID] != nil {
			p.removed = append(p.removed, s)
		}
	}
	return p, errors.Join(errs...)
}

// sameSchemas compares what the schemas say.
func sameSchemas(a, b *schema.Policy) bool {
	x, y := a.Registry().Schemas(), b.Registry().Schemas()
	return slices.EqualFunc(x, y, func(x, y *schema.Schema) bool {
		m, errM := x.Bundle()
		n, errN := y.Bundle()
		return x.Type == y.Type && x.Version == y.Version && x.KeyPointer == y.KeyPointer && errM == nil && errN == nil && bytes.Equal(m, n)
	})
}

// topicsTimeout bounds how long a reload waits for a broker that is away: somebody
// waits for its answer, and nothing has changed by then.
const topicsTimeout = 20 * time.Second
