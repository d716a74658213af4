package schedule

import "time"

// Breaker says when a destination is paused.
type Breaker struct {
	Failures int           // keys that fail in a row, none succeeding, until it opens; default 20
	Initial  time.Duration // first pause; default 1 s
	Max      time.Duration // longest pause; default 1 min
}

// WithDefaults fills in what is zero.
func (b Breaker) WithDefaults() Breaker {
	if b.Failures <= 0 {
		b.Failures = 20
	}
	if b.Initial <= 0 {
		b.Initial = time.Second
	}
	if b.Max <= 0 {
		b.Max = time.Minute
	}
	return b
}

// unavailableKeys is how many keys must find the destination unavailable, none
// succeeding, until the breaker opens. Two, because one user who always gets a
// 503 must not pause the others.
const unavailableKeys = 2

// breaker pauses a destination that is at fault.
//
//	closed   every attempt may start
//	open     none may until a time, then one: the probe. It fails: open again, for longer.
//	opening  the probe was good: two attempts at once, and with each success one more, until
//	         as many as the concurrency may, or nothing waits: closed
//
// A receiver that allows so many a second would refuse most of a crowd; what it refuses
// while the breaker opens up opens it again. Waiting spends no attempt. A failed
// probe's key comes back behind the others, so that one bad user cannot be the probe for
// ever.
type breaker struct {
	cfg         Breaker
	concurrency int

	state   breakerState
	since   time.Duration // open: it opened
	until   time.Duration // open: the next probe
	pause   time.Duration // the last one; doubles with each failed probe
	probing bool          // open: the probe is under way
	limit   int           // opening: attempts at once
	under   int           // opening: of them, those under way
	episode int           // counts how often it opened: an attempt of an earlier one is no probe
	cause   error         // why it opened last

	failing, down map[string]struct{} // keys that have failed, or found it unavailable, since a success
	successes     uint64
}

type breakerState uint8

const (
	closed breakerState = iota
	open
	opening
)

// pass is how an attempt got through the breaker.
type pass uint8

const (
	passFree  pass = iota // it was closed
	passProbe             // the one that finds out whether the pause may end
	passRamp              // one of those that follow a good probe
)

func newBreaker(cfg Breaker, concurrency int) breaker {
	return breaker{cfg: cfg, concurrency: concurrency, failing: map[string]struct{}{}, down: map[string]struct{}{}}
}

// lets reports whether an attempt may start; until when not, where that is known.
func (b *breaker) lets(t time.Duration) (ok bool, until time.Duration) {
	switch b.state {
	case open:
		if b.probing {
			return false, 0
		}
		return t >= b.until, b.until
	case opening:
		return b.under < b.limit, 0
	default:
		return true, 0
	}
}

// pass is that of an attempt that starts.
func (b *breaker) pass() pass {
	switch b.state {
	case open:
		b.probing = true
		return passProbe
	case opening:
		b.under++
		return passRamp
	default:
		return passFree
	}
}

// report takes the outcome of an attempt of a key.
func (b *breaker) report(m *Machine, t time.Duration, a *Attempt, name string, o Outcome, asked Asked, cause error) {
	p := a.pass
	if a.episode != b.episode {
		p = passFree
	}
	if p == passRamp {
		b.under--
	}
	switch o {
	case Nothing:
		if p == passProbe {
			b.probing = false // the next one is
		}
	case Success, Final: // a final answer shows that the destination works
		b.successes++
		clear(b.failing)
		clear(b.down)
		switch p {
		case passProbe:
			b.state, b.probing, b.limit, b.under = opening, false, 2, 0
		case passRamp:
			b.limit++
		}
	case Failed:
		b.count(b.failing, name)
		if p == passProbe || len(b.failing) >= b.cfg.Failures {
			b.trip(m, t, p, Asked{}, cause)
		}
	case Unavailable:
		b.count(b.down, name)
		if p == passProbe || p == passRamp && asked.Wait > 0 || len(b.down) >= unavailableKeys {
			b.trip(m, t, p, asked, cause)
		}
	}
}

// count adds a key that failed. While it is open only the probe says something new.
func (b *breaker) count(keys map[string]struct{}, name string) {
	if b.state != open {
		keys[name] = struct{}{}
	}
}

// trip opens the breaker, or pauses longer after a failed probe. A receiver that
// names a time gets its probe then, and the pauses do not grow for it. Attempts that
// were under way when it opened change nothing.
func (b *breaker) trip(m *Machine, t time.Duration, p pass, asked Asked, cause error) {
	if b.state == open && p != passProbe {
		return
	}
	was := b.state
	switch {
	case was != open:
		b.pause, b.since = b.cfg.Initial, t
	case !asked.named():
		b.pause = min(2*b.pause, b.cfg.Max)
	}
	wait := asked.probe(b.pause)
	b.state, b.probing, b.until, b.cause = open, false, t+wait, cause
	b.episode++
	clear(b.failing) // bounded: they hold the keys of one episode
	clear(b.down)
	if was == closed {
		m.notices = append(m.notices, Notice{Opened: true, Pause: wait, Cause: cause})
	}
}

// settle closes a breaker that has opened up, or that nothing waits for.
func (b *breaker) settle(m *Machine) {
	if b.state == opening && (b.limit >= b.concurrency || m.singles.first == nil && m.company.first == nil) {
		b.state = closed
		m.notices = append(m.notices, Notice{})
	}
}

// Notice is a change of the breaker, or of the hold, that somebody should be told of.
type Notice struct {
	Hold   bool // it is of the hold
	Opened bool // it opened, or holds; else it is over
	Pause  time.Duration
	Cause  error
}

// Notices takes what there is to tell.
func (m *Machine) Notices() []Notice {
	n := append(m.notices, m.guard.Notices()...)
	m.notices = nil
	return n
}

// BreakerState is what a breaker looks like now.
type BreakerState struct {
	Open    bool
	Opening bool      // it was open, and lets attempts go by and by
	Since   time.Time // Open: it opened
	Until   time.Time // Open: the next probe. In the past: it waits for an event, or is under way
	Cause   error     // of the last failure that opened it or kept it open
}

// Breaker tells of the breaker.
func (m *Machine) Breaker() BreakerState {
	b := &m.breaker
	switch b.state {
	case open:
		return BreakerState{Open: true, Since: m.time(b.since), Until: m.time(b.until), Cause: b.cause}
	case opening:
		return BreakerState{Opening: true, Cause: b.cause}
	default:
		return BreakerState{}
	}
}
