package router

import (
	"context"
	"fmt"
	"time"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/plural"
	"eventserver/router/record"
	"eventserver/router/redact"
	"eventserver/router/schedule"
)

// States of a destination.
const (
	StateRunning   = "running"
	StatePaused    = "paused"    // by somebody; see Status.Pause
	StateHeld      = "held"      // it refuses one user after the other, or their transformation fails; see Status.Hold
	StateReplaying = "replaying" // its transformation waits for a replay's reset
	StateStopping  = "stopping"  // it is being removed or replaced
)

// Status is what a destination looks like now.
type Status struct {
	ID, Kind string
	State    string   // State...
	Pause    *Note    // nil: nobody paused it
	Replay   *Note    // nil: none is under way
	Assigned bool     // it has been given partitions to read
	Silent   *Silence // nil: the broker answers
	Damage   []string // what cannot be read, in words

	Breaker       BreakerStatus
	Hold          HoldStatus
	Waits         string           // what its transform stage waits for before it transforms more, metrics.Wait...; "": for nothing
	Failing       *attempt.Failing // nil: the last attempt succeeded, or this process has made none
	InFlight      int              // attempts under way
	Concurrency   int              // most of them
	Buffered      int              // messages read and not finished
	BlockedKeys   int
	BlockedBy     map[string]int // by reason, metrics.Wait...; those that there are
	OldestBlocked time.Time      // since when the longest-blocked key waits; zero: none
	Oldest        time.Time      // when the oldest unfinished event was accepted; zero: none
	Lag           []metrics.Lag
}

// Silence is a broker that does not answer this process, or stores nothing.
type Silence struct {
	Since   time.Time
	Cause   string // of the last time it was asked
	Answers bool   // it stores nothing
}

func (s Silence) words(now time.Time) string {
	what := "answered"
	if s.Answers {
		what = "stored anything (a full disk?)"
	}
	return fmt.Sprintf("the broker has not %s since %s: %s", what, clock(now, s.Since), s.Cause)
}

// BreakerStatus is what a breaker looks like now.
type BreakerStatus struct {
	Open  bool
	Ramp  bool      // it was open, and lets attempts go by and by
	Since time.Time // it opened; zero: it is closed
	Until time.Time // the next probe; zero: it is closed. In the past: the probe waits for an event
	Cause string    // of the last failure that opened it or kept it open; no payload is in it
}

func breakerStatus(b schedule.BreakerState) BreakerStatus {
	s := BreakerStatus{Open: b.Open, Ramp: b.Opening, Since: b.Since, Until: b.Until}
	if b.Cause != nil {
		s.Cause = redact.Logged(b.Cause)
	}
	return s
}

// HoldStatus is what a hold looks like now. Of two it is that of the deliver stage.
type HoldStatus struct {
	Held  bool
	Stage string // transform or deliver; "": it is not held
	Since time.Time
	Until time.Time // the next probe. In the past: the probe waits for an event, or is under way
	Cause string    // the last final answer, or failure of a transformation; no payload is in it
}

func (r *running) holdStatus(deliver schedule.HoldState) HoldStatus {
	stage, h := record.StageDeliver, deliver
	if !h.Held {
		stage, h = record.StageTransform, r.hold.state()
	}
	if !h.Held {
		return HoldStatus{}
	}
	s := HoldStatus{Held: true, Stage: stage, Since: h.Since, Until: h.Until}
	if h.Cause != nil {
		s.Cause = redact.Logged(h.Cause)
	}
	return s
}

// Words say why it is held.
func (h HoldStatus) Words(now time.Time) string {
	probe := "a probe is due"
	if h.Until.After(now) {
		probe = "the next probe is at " + clock(now, h.Until)
	}
	why := "it refuses one user after the other"
	if h.Stage == record.StageTransform {
		why = "its schema, filter or transformation fails for one user after the other"
	}
	return fmt.Sprintf("held since %s, because %s; nothing more is given up, and %s: %s", clock(now, h.Since), why, probe, h.Cause)
}

// Status tells of one destination; false: there is none of that id.
func (p *Pipeline) Status(id string) (Status, bool) {
	p.mu.Lock()
	r := p.findLocked(id)
	var s Status
	if r != nil {
		s.Pause, s.Replay = noteOf(p.pauses, id), noteOf(p.replays, id)
	}
	p.mu.Unlock()
	if r == nil {
		return s, false
	}
	r.describe(&s)
	s.Damage = p.cfg.Damage.problems(id)
	if b := p.silent(); b != nil {
		s.Silent = &Silence{Since: b.since, Cause: b.err.Error(), Answers: b.answers}
	}
	return s, true
}

func noteOf(notes map[string]Note, id string) *Note {
	n, ok := notes[id]
	if !ok {
		return nil
	}
	return &n
}

func (r *running) describe(s *Status) {
	now := r.state()
	s.ID, s.Kind, s.Concurrency, s.Assigned = r.id, r.dest.Kind, r.dest.Concurrency, r.assigned()
	sched := r.scheduler().State()
	s.Breaker, s.Hold, s.Failing = breakerStatus(sched.Breaker), r.holdStatus(sched.Hold), r.health.Status()
	s.Waits, _ = r.scheduler().Ahead.Stopped()
	s.InFlight, s.Buffered, s.BlockedBy = now.InFlight, now.Buffered, now.Blocked
	for _, n := range now.Blocked {
		s.BlockedKeys += n
	}
	s.OldestBlocked, s.Oldest, s.Lag = now.OldestBlocked, now.Oldest, now.Lag
	r.mu.Lock()
	ending := r.ending
	r.mu.Unlock()
	switch {
	case ending:
		s.State = StateStopping
	case s.Replay != nil:
		s.State = StateReplaying
	case s.Pause != nil:
		s.State = StatePaused
	case s.Hold.Held:
		s.State = StateHeld
	default:
		s.State = StateRunning
	}
}

// Why says in words what keeps the destination from delivering; "": nothing.
func (s Status) Why(now time.Time) string {
	note := func(what string, n *Note) string {
		if n.By != "" {
			what += " by " + n.By
		}
		if !n.At.IsZero() {
			what += " since " + clock(now, n.At)
		}
		if n.Why != "" {
			what += ": " + n.Why
		}
		return what
	}
	switch {
	case s.State == StateStopping:
		return "it is being stopped by a change of the configuration"
	case s.Silent != nil:
		return s.Silent.words(now)
	case s.Replay != nil:
		return note("replay under way", s.Replay)
	case s.Pause != nil:
		return note("paused", s.Pause)
	case s.Breaker.Open && s.Breaker.Until.After(now):
		return fmt.Sprintf("breaker open until %s: %s", clock(now, s.Breaker.Until), s.Breaker.Cause)
	case s.Breaker.Open:
		return fmt.Sprintf("breaker open, a probe is due: %s", s.Breaker.Cause)
	case s.Hold.Held:
		return s.Hold.Words(now)
	case !s.Assigned:
		return "it has no partitions: the broker has not given it any yet, or other processes have them all"
	case s.Breaker.Ramp:
		return "breaker closing after: " + s.Breaker.Cause
	case s.Failing != nil:
		return failingWords(s.Failing, now)
	case s.BlockedKeys > 0 && s.InFlight >= s.Concurrency:
		return "busy: " + plural.Count(s.Concurrency, "attempt is", "attempts are") + " under way, as many as concurrency allows"
	case s.BlockedKeys > 0:
		return fmt.Sprintf("%s behind an event of theirs that is not delivered yet, the longest for %s",
			plural.Count(s.BlockedKeys, "user waits", "users wait"), now.Sub(s.OldestBlocked).Round(time.Second))
	default:
		return ""
	}
}

// Problems are what somebody should look at, in words. Unlike Why they leave out
// what is in the order of things: attempts under way, a rate limit, a batch.
func (s Status) Problems(now time.Time) (all []string) {
	switch {
	case s.Silent != nil, s.State != StateRunning, s.Breaker.Open, s.Breaker.Ramp, !s.Assigned:
		all = append(all, s.Why(now))
	}
	if f := s.Failing; f != nil && !s.Breaker.Open && s.State != StateHeld && (f.Attempts > 1 || now.Sub(f.Since) >= failingFor) {
		all = append(all, failingWords(f, now))
	}
	if n := s.BlockedBy[metrics.WaitBackoff]; n > 0 && !s.Breaker.Open {
		all = append(all, plural.Count(n, "user waits", "users wait")+" behind an event of theirs whose attempts fail")
	}
	if n := s.BlockedBy[metrics.WaitBroker]; n > 0 {
		all = append(all, plural.Count(n, "user waits", "users wait")+" for the broker to take a record, such as that of the poison queue")
	}
	return append(all, s.Damage...)
}

// failingFor is how long a single failed attempt with no success after it is in the
// order of things: one of many fails now and then.
const failingFor = 5 * time.Second

// failingWords say how a destination fails.
func failingWords(f *attempt.Failing, now time.Time) string {
	if f.Attempts == 1 {
		return fmt.Sprintf("its last attempt failed, at %s: %s", clock(now, f.Since), f.Last)
	}
	return fmt.Sprintf("its last %d attempts failed, the first at %s: %s", f.Attempts, clock(now, f.Since), f.Last)
}

// clock is a time of today, or with its date.
func clock(now, t time.Time) string {
	t = t.UTC()
	if now.UTC().YearDay() == t.YearDay() && now.UTC().Year() == t.Year() {
		return t.Format("15:04:05Z")
	}
	return t.Format("2006-01-02 15:04:05Z")
}

// Look tells what the broker alone knows of a destination: its lag, and its
// oldest event that is not finished.
func Look(ctx context.Context, broker infra.Broker, id string) (Status, error) {
	b, err := readBacklog(ctx, broker, id)
	if err != nil {
		return Status{}, fmt.Errorf("destination %s: %w", id, err)
	}
	return Status{ID: id, Lag: b.lag, Oldest: b.oldest}, nil
}
