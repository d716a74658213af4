package schedule

import "time"

// Guard holds a destination that refuses the events of one user after the other: the
// receiver, or the transformation, is more likely at fault than all of them, and what is
// given up is not sent again by itself. Some users whose events are bad, among others that
// succeed, hold nothing. Each stage of a destination has one. Its times are distances from
// a time of the caller's. It is not safe for concurrent use.
//
//	free   a final answer gives the event up. As many keys as the limit have met one, none
//	       succeeding: held.
//	held   no attempt may start until a time, then one: the probe. What meets a final answer
//	       stays. Pauses grow. Any success: free.
//
// A key that was the probe comes back behind the others. Let go by hand, one more final
// answer holds it again, unless somebody accepts them: until a success they give events up.
type Guard struct {
	keys    int     // 0: off
	pauses  Breaker // its pauses
	refused map[string]struct{}

	held, accepts bool
	probe         any // under way; nil: none
	since, until  time.Duration
	pause         time.Duration // the last one; doubles with each final answer
	cause         error
	notices       []Notice
}

// NewGuard makes one that holds after that many keys; 0: never.
func NewGuard(keys int, pauses Breaker) Guard {
	return Guard{keys: keys, pauses: pauses, refused: map[string]struct{}{}}
}

// Held reports whether what meets a final answer stays.
func (g *Guard) Held() bool { return g.held }

// Lets reports whether an attempt may start; until when not, where that is known.
func (g *Guard) Lets(t time.Duration) (ok bool, until time.Duration) {
	switch {
	case !g.held:
		return true, 0
	case g.probe != nil:
		return false, 0
	}
	return t >= g.until, g.until
}

// Start notes an attempt that starts: during a hold it is the probe.
func (g *Guard) Start(attempt any) {
	if g.held {
		g.probe = attempt
	}
}

// Report takes the outcome of an attempt. Without a key a final answer gives nobody's
// event up, as that to a batch.
func (g *Guard) Report(t time.Duration, attempt any, key string, o Outcome, cause error) {
	if g.keys == 0 {
		return
	}
	probe := g.probe != nil && g.probe == attempt
	if probe {
		g.probe = nil
	}
	switch o {
	case Nothing:
	case Success:
		g.accepts = false
		clear(g.refused)
		g.release()
	case Final:
		g.final(t, key, probe, cause)
	case Unavailable, Failed: // the breaker's affair
		if probe {
			g.until = t + g.pause
		}
	}
}

func (g *Guard) final(t time.Duration, key string, probe bool, cause error) {
	switch {
	case g.accepts:
	case probe:
		g.pause = min(2*g.pause, g.pauses.Max)
		g.until, g.cause = t+g.pause, cause
	case g.held || key == "":
	default:
		g.refused[key] = struct{}{}
		if len(g.refused) < g.keys {
			return
		}
		g.held, g.cause = true, cause
		g.since, g.pause, g.until = t, g.pauses.Initial, t+g.pauses.Initial
		g.notices = append(g.notices, Notice{Hold: true, Opened: true, Pause: g.pause, Cause: cause})
	}
}

func (g *Guard) release() {
	if g.held {
		g.held, g.probe = false, nil
		g.notices = append(g.notices, Notice{Hold: true})
	}
}

// LetGo ends a hold; false: there is none. Until a success, with accept, final answers give
// events up; without it the next one holds again.
func (g *Guard) LetGo(accept bool) bool {
	if !g.held {
		return false
	}
	g.accepts = accept
	g.release()
	return true
}

// Pausing reports whether there is a pause that RetryNow would end.
func (g *Guard) Pausing(t time.Duration) bool { return g.held && g.probe == nil && t < g.until }

// RetryNow ends a pause; the pauses begin anew.
func (g *Guard) RetryNow(t time.Duration) (ended bool) {
	if ended = g.Pausing(t); ended {
		g.until, g.pause = t, g.pauses.Initial/2 // a probe that fails doubles it
	}
	return ended
}

// Notices takes what somebody should be told of.
func (g *Guard) Notices() []Notice {
	n := g.notices
	g.notices = nil
	return n
}

// HoldState is what a hold looks like now.
type HoldState struct {
	Held  bool
	Since time.Time
	Until time.Time // the next probe. In the past: it waits for an event, or is under way
	Cause error     // the last final answer that held it or kept it held
}

// State tells of the hold. The times of the guard are distances from start.
func (g *Guard) State(start time.Time) HoldState {
	if !g.held {
		return HoldState{}
	}
	return HoldState{Held: true, Since: start.Add(g.since), Until: start.Add(g.until), Cause: g.cause}
}

// Hold tells of the hold.
func (m *Machine) Hold() HoldState { return m.guard.State(m.start) }

// LetGo is that of the guard.
func (m *Machine) LetGo(accept bool) bool { return m.guard.LetGo(accept) }
