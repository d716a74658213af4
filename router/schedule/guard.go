package schedule

import "time"

// guard holds a destination that refuses the events of one user after the other: the
// receiver is more likely at fault than all of them, and what is given up is not sent again
// by itself. Some users whose events are bad, among others that succeed, hold nothing.
//
//	free   a final answer gives the event up. As many keys as the limit have met one, none
//	       succeeding: held.
//	held   no attempt may start until a time, then one: the probe. What meets a final answer
//	       stays. Pauses grow. Any success: free.
//
// A key that was the probe comes back behind the others. Let go by hand, one more final
// answer holds it again, unless somebody accepts them: until a success they give events up.
type guard struct {
	keys    int     // 0: off
	pauses  Breaker // its pauses
	refused map[string]struct{}

	held, accepts bool
	probe         *Attempt // under way; nil: none
	since, until  time.Duration
	pause         time.Duration // the last one; doubles with each final answer
	cause         error
}

// lets reports whether an attempt may start; until when not, where that is known.
func (g *guard) lets(t time.Duration) (ok bool, until time.Duration) {
	switch {
	case !g.held:
		return true, 0
	case g.probe != nil:
		return false, 0
	}
	return t >= g.until, g.until
}

// start notes the attempt that starts.
func (g *guard) start(a *Attempt) {
	if g.held {
		g.probe = a
	}
}

// report takes the outcome of an attempt.
func (g *guard) report(m *Machine, t time.Duration, a *Attempt, o Outcome, cause error) {
	if g.keys == 0 {
		return
	}
	probe := g.probe == a
	if probe {
		g.probe = nil
	}
	switch o {
	case Nothing:
	case Success:
		g.accepts = false
		clear(g.refused)
		g.release(m)
	case Final:
		g.final(m, t, a, probe, cause)
	case Unavailable, Failed: // the breaker's affair
		if probe {
			g.until = t + g.pause
		}
	}
}

// final takes a final answer. That to a batch gives nobody's event up.
func (g *guard) final(m *Machine, t time.Duration, a *Attempt, probe bool, cause error) {
	switch {
	case g.accepts:
	case probe:
		g.pause = min(2*g.pause, g.pauses.Max)
		g.until, g.cause = t+g.pause, cause
	case g.held || len(a.Deliveries) > 1:
	default:
		g.refused[a.Deliveries[0].key.name] = struct{}{}
		if len(g.refused) < g.keys {
			return
		}
		g.held, g.cause = true, cause
		g.since, g.pause, g.until = t, g.pauses.Initial, t+g.pauses.Initial
		m.notices = append(m.notices, Notice{Hold: true, Opened: true, Pause: g.pause, Cause: cause})
	}
}

func (g *guard) release(m *Machine) {
	if g.held {
		g.held, g.probe = false, nil
		m.notices = append(m.notices, Notice{Hold: true})
	}
}

// pausing reports whether there is a pause that RetryNow would end.
func (g *guard) pausing(t time.Duration) bool { return g.held && g.probe == nil && t < g.until }

// HoldState is what a hold looks like now.
type HoldState struct {
	Held  bool
	Since time.Time
	Until time.Time // the next probe. In the past: it waits for an event, or is under way
	Cause error     // the last final answer that held it or kept it held
}

// Hold tells of the hold.
func (m *Machine) Hold() HoldState {
	g := &m.guard
	if !g.held {
		return HoldState{}
	}
	return HoldState{Held: true, Since: m.time(g.since), Until: m.time(g.until), Cause: g.cause}
}

// LetGo ends a hold; false: there is none. Until a success, with accept, final answers give
// events up; without it the next one holds again.
func (m *Machine) LetGo(accept bool) bool {
	g := &m.guard
	if !g.held {
		return false
	}
	g.accepts = accept
	g.release(m)
	return true
}
