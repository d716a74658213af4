package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// plan is a destination that answers as told, and notes when it was asked.
type plan struct {
	routertest.FuncDest
	answers []error // the last one is repeated

	mu sync.Mutex
	at []time.Time
	ds []destinations.Delivery
}

func newPlan(id string, answers ...error) *plan {
	p := &plan{answers: answers}
	p.Name = id
	p.OnDeliver = func(_ context.Context, d destinations.Delivery) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.at, p.ds = append(p.at, time.Now()), append(p.ds, d)
		return p.answers[min(len(p.at), len(p.answers))-1]
	}
	return p
}

// asked is when each attempt was made.
func (p *plan) asked() []time.Time { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(p.at) }

// seen is what each attempt carried.
func (p *plan) seen() []destinations.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ds)
}

func TestAttemptsHaveALimit(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		p := newPlan("d", routertest.ErrPlain)
		r := newRig(t, Destination{Destination: p, Retry: attempt.Retry{Initial: time.Second, Max: 4 * time.Second, Attempts: 5}})
		msgs := r.deliver("d", "u", "e1", "e2")
		routertest.Elapse(time.Minute)
		if len(p.asked()) != 10 {
			t.Fatalf("%d attempts for two events, want 5 each", len(p.asked()))
		}
		for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			if got := p.asked()[i+1].Sub(p.asked()[i]); got > want {
				t.Errorf("wait %d was %v, more than %v", i+1, got, want)
			}
		}
		for i, d := range p.seen() { // e2 only when e1 is given up; attempts count up
			if want := fmt.Sprintf("e%d:d", 1+i/5); d.ID != want || d.Attempt != 1+i%5 {
				t.Errorf("attempt %d: delivery %s attempt %d, want %s %d", i, d.ID, d.Attempt, want, 1+i%5)
			}
		}
		got := r.poisoned("d")
		if len(got) != 2 {
			t.Fatalf("%d in the poison queue, want 2", len(got))
		}
		g := got[0]
		if g.EventID != "e1" || g.Key != "u" || g.Stage != "deliver" || g.Reason != metrics.ReasonAttempts || g.Attempts != 5 ||
			g.Sequence != 7 || g.Detail != routertest.ErrPlain.Error() || string(g.Body) != `{"id":"e1"}` ||
			!g.First.Equal(p.asked()[0]) || !g.Last.Equal(p.asked()[4]) {
			t.Errorf("the poison record tells %+v", g)
		}
		for _, m := range msgs {
			routertest.WantVerdict(t, m, "acked")
		}
		if n := r.metric("eventserver_retries_total", nil); n != 8 {
			t.Errorf("retries %v, want 8", n)
		}
	})
}

func TestAgeHasALimit(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		p := newPlan("d", destinations.RetryAfter(routertest.ErrPlain, time.Minute))
		r := newRig(t, Destination{Destination: p, Retry: attempt.Retry{Attempts: 100, MaxAge: 3*time.Minute + time.Second}})
		r.deliver("d", "u", "e1")
		routertest.Elapse(time.Hour)
		if got := r.poisoned("d"); len(got) != 1 || got[0].Reason != metrics.ReasonAge || got[0].Attempts != 5 {
			t.Errorf("poisoned %+v, want one of age after 5 attempts, one a minute", got)
		}
	})
}

func TestRetryAfterIsALowerBound(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		p := newPlan("d", destinations.RetryAfter(routertest.ErrPlain, 17*time.Second), nil)
		r := newRig(t, Destination{Destination: p, Retry: attempt.Retry{Initial: time.Millisecond}})
		m := r.deliver("d", "u", "e1")[0]
		routertest.Elapse(time.Minute)
		routertest.WantVerdict(t, m, "acked")
		if got := p.asked()[1].Sub(p.asked()[0]); got < 17*time.Second || got > 18*time.Second {
			t.Errorf("asked again after %v, want 17 s", got)
		}
	})
}

func TestVerdictsThatEndADelivery(t *testing.T) {
	for name, c := range map[string]struct {
		answer           error
		poisoned         int
		outcome, attempt string
	}{
		"success":   {nil, 0, metrics.Delivered, metrics.ClassSuccess},
		"skip":      {destinations.ErrSkip, 0, metrics.Skipped, metrics.ClassSuccess},
		"permanent": {fmt.Errorf("wrapped: %w", destinations.Permanent(routertest.ErrPlain)), 1, metrics.Poisoned, metrics.ClassPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				p := newPlan("d", c.answer)
				r := newRig(t, Destination{Destination: p})
				m := r.deliver("d", "u", "e1")[0]
				routertest.WantVerdict(t, m, "acked")
				if len(p.asked()) != 1 || len(r.poisoned("d")) != c.poisoned {
					t.Errorf("%d attempts, %d poisoned", len(p.asked()), len(r.poisoned("d")))
				}
				if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": c.outcome}); n != 1 {
					t.Errorf("outcome %s: %v", c.outcome, n)
				}
				if n := r.metric("eventserver_attempts_total", map[string]string{"class": c.attempt}); n != 1 {
					t.Errorf("class %s: %v", c.attempt, n)
				}
			})
		})
	}
}

// Watermill's Timeout inside its Retry left attempts 2..n with a cancelled
// context: all of them failed at once.
func TestEachAttemptHasItsOwnDeadline(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		var began, ended []time.Time
		d := &routertest.FuncDest{Name: "d", OnDeliver: func(ctx context.Context, _ destinations.Delivery) error {
			if ctx.Err() != nil {
				t.Error("an attempt began with a context that had ended")
			}
			began = append(began, time.Now())
			<-ctx.Done()
			ended = append(ended, time.Now())
			return ctx.Err()
		}}
		r := newRig(t, Destination{Destination: d, Timeout: 3 * time.Second, Retry: attempt.Retry{Attempts: 3}})
		r.deliver("d", "u", "e1")
		routertest.Elapse(time.Minute)
		for i := range began {
			if got := ended[i].Sub(began[i]); got != 3*time.Second {
				t.Errorf("attempt %d lasted %v", i+1, got)
			}
		}
		if got := r.poisoned("d"); len(got) != 1 || got[0].Attempts != 3 {
			t.Errorf("poisoned %+v", got)
		}
		if n := r.metric("eventserver_attempts_total", map[string]string{"class": metrics.ClassTimeout}); n != 3 {
			t.Errorf("timeouts %v, want 3", n)
		}
	})
}

// An attempt under way when its claim ended was cut off, so that each rebalance
// delivered again what the receivers were just answering. It has the subscriber's
// grace, also while the pipeline drains.
func TestAnAttemptUnderWayOutlivesItsClaim(t *testing.T) {
	const grace = time.Second
	for name, c := range map[string]struct {
		takes   time.Duration
		drain   string // begins before or after the claim's end, or not at all
		lasts   time.Duration
		verdict string
	}{
		"finished within the grace":     {takes: grace / 2, lasts: grace / 2, verdict: "acked"},
		"cut off after it":              {takes: time.Hour, lasts: grace, verdict: "nacked"},
		"of a pipeline that drains":     {takes: grace / 2, drain: "before", lasts: grace / 2, verdict: "acked"},
		"of one that begins to drain":   {takes: grace / 2, drain: "after", lasts: grace / 2, verdict: "acked"},
		"cut off while it drains":       {takes: time.Hour, drain: "before", lasts: grace, verdict: "nacked"},
		"its own deadline comes before": {takes: time.Hour, drain: "no", lasts: grace / 10, verdict: "nacked"},
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				var lasted time.Duration
				began := make(chan struct{})
				d := &routertest.FuncDest{Name: "d", OnDeliver: func(ctx context.Context, _ destinations.Delivery) error {
					close(began)
					from := time.Now()
					defer func() { lasted = time.Since(from) }()
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(c.takes):
						return nil
					}
				}}
				timeout := 10 * time.Second
				if c.lasts < grace/2 {
					timeout = c.lasts
				}
				r := newRig(t, Destination{Destination: d, Timeout: timeout})
				ctx, end, cut := routertest.Claim(t)
				msg := routertest.Within(ctx, routertest.Delivery("u", "e1"))
				r.broker.subs[record.DeliverGroup("d")].Ch <- msg
				<-began
				drain := func(when string) {
					if c.drain == when {
						go func() { _ = r.pipeline.Drain(context.Background()) }()
						synctest.Wait()
					}
				}
				drain("before")
				end()
				time.AfterFunc(grace, cut)
				drain("after")
				routertest.Elapse(time.Minute)
				routertest.WantVerdict(t, msg, c.verdict)
				if lasted != c.lasts {
					t.Errorf("the attempt lasted %v, want %v", lasted, c.lasts)
				}
				if len(r.poisoned("d")) != 0 {
					t.Error("poisoned")
				}
			})
		})
	}
}

func TestPanicIsAFailedAttempt(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := &routertest.FuncDest{Name: "d", OnDeliver: func(context.Context, destinations.Delivery) error { panic("a bug\x1b[31m in user code") }}
		r := newRig(t, Destination{Destination: d, Retry: attempt.Retry{Attempts: 2}})
		r.deliver("d", "u", "e1")
		routertest.Elapse(time.Minute)
		got := r.poisoned("d")
		if len(got) != 1 || got[0].Attempts != 2 {
			t.Fatalf("poisoned %+v", got)
		}
		if s := got[0].Detail; !strings.Contains(s, "a bug") || strings.Contains(s, "goroutine") || strings.Contains(s, "\x1b") {
			t.Errorf("detail %q: wants the panic, without its stack and control characters", s)
		}
	})
}

// Watermill's PoisonQueue poisons whatever error a shutdown makes.
func TestNothingIsPoisonedByTheEndOfAClaim(t *testing.T) {
	for name, end := range map[string]func(r *rig, cancel func()){
		"rebalance": func(_ *rig, cancel func()) { cancel() },
		"drain":     func(r *rig, _ func()) { go func() { _ = r.pipeline.Drain(context.Background()) }() },
	} {
		for _, during := range []string{"backoff", "attempt"} {
			t.Run(name+" during "+during, func(t *testing.T) {
				routertest.Run(t, func(t *testing.T) {
					asked := 0
					release := make(chan struct{})
					d := &routertest.FuncDest{Name: "d", OnDeliver: func(ctx context.Context, _ destinations.Delivery) error {
						asked++
						if during == "attempt" {
							select {
							case <-ctx.Done():
							case <-release:
							}
							return errors.Join(routertest.ErrPlain, ctx.Err())
						}
						return destinations.RetryAfter(routertest.ErrPlain, time.Hour)
					}}
					r := newRig(t, Destination{Destination: d, Timeout: 24 * time.Hour, Retry: attempt.Retry{Attempts: 2}})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					m := routertest.Within(ctx, routertest.Delivery("u", "e1"))
					r.broker.subs[record.DeliverGroup("d")].Ch <- m
					synctest.Wait()
					end(r, cancel)
					synctest.Wait()
					close(release) // a drain lets the attempt come to its own end
					synctest.Wait()
					routertest.WantVerdict(t, m, "nacked")
					if n := len(r.broker.pub.of(record.PoisonTopic("d"))); n != 0 || asked != 1 {
						t.Errorf("%d poisoned after %d attempts", n, asked)
					}
				})
			})
		}
	}
}
