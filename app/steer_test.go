package app_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"eventserver/app"
	"eventserver/destinations"
	"eventserver/router"
)

const steerText = reloadHead + "destinations:\n  - {id: steady, kind: echo}\n  - {id: moving, kind: echo}\n"

// A pause holds at every instance and through a restart, before the first
// attempt, and touches nobody else.
func TestPauseSurvivesARestart(t *testing.T) {
	for name, broker := range brokers(t) {
		t.Run(name, func(t *testing.T) {
			r := startReloading(t, broker, steerText)
			if err := r.app.Pause(t.Context(), "moving", "ada", "maintenance", false); err != nil {
				t.Fatal(err)
			}
			var unknown *app.UnknownDestinationError
			if err := r.app.Pause(t.Context(), "mooving", "ada", "", false); !errors.As(err, &unknown) {
				t.Errorf("a destination that there is not: %v", err)
			}
			r.post(0, 30)
			r.probes["steady"].await(t, 30)
			if name != "memory" {
				r.stop()
				r = startReloading(t, broker, steerText)
			}
			r.post(30, 30)
			r.probes["steady"].await(t, 30)
			s := r.app.Destinations()[1]
			if why := s.Why(time.Now()); s.State != router.StatePaused || !strings.HasPrefix(why, "paused by ada since ") || !strings.HasSuffix(why, ": maintenance") {
				t.Errorf("%s: %s", s.State, why)
			}
			if p := r.probes["moving"]; p != nil && len(p.came) > 0 {
				t.Errorf("%d attempts of a paused destination", len(p.came))
			}
			if ended, err := r.app.Resume(t.Context(), "moving", "ada", false, false); err != nil || len(ended) != 1 {
				t.Fatalf("%v, %v", ended, err)
			}
			r.probes["moving"].await(t, 60)
		})
	}
}

// A replay sends again what was accepted since then, under the same ids and
// sequences, in order, to one destination.
func TestReplay(t *testing.T) {
	for name, broker := range brokers(t) {
		t.Run(name, func(t *testing.T) {
			r := startReloading(t, broker, steerText)
			r.post(0, 30)
			r.probes["steady"].await(t, 30)
			r.probes["moving"].await(t, 30)
			<-time.After(5 * time.Millisecond) // records have times of milliseconds
			since := time.Now()
			r.post(30, 45)
			r.probes["steady"].await(t, 45)
			before := r.probes["moving"].await(t, 45)[30:]
			var plan app.ReplayPlan
			var err error
			for deadline := time.Now().Add(20 * time.Second); plan.Events != 45 && time.Now().Before(deadline); <-time.After(20 * time.Millisecond) { // commits are not at once
				if plan, err = r.app.PlanReplay(t.Context(), "moving", since); err != nil {
					t.Fatal(err)
				}
			}
			if plan.Events != 45 || plan.Gone != 0 {
				t.Fatalf("%+v", plan)
			}
			if _, err := r.app.Replay(t.Context(), "moving", since, "ada", 46); !errors.Is(err, app.ErrReplayChanged) {
				t.Errorf("confirmed with more: %v", err)
			}
			if done, err := r.app.Replay(t.Context(), "moving", since, "ada", plan.Events); err != nil || done.Events != 45 {
				t.Fatalf("%+v, %v", done, err)
			}
			again := r.probes["moving"].await(t, 45)[75:]
			index := func(ds []destinations.Delivery) map[string]int64 {
				m := map[string]int64{}
				for _, d := range ds {
					m[d.ID] = d.Sequence
				}
				return m
			}
			if !maps.Equal(index(before), index(again)) {
				t.Error("the ids or sequences of the replay are not those of before")
			}
			last := map[string]int64{}
			for _, d := range again {
				if d.Sequence < last[d.Key] {
					t.Errorf("%s came after sequence %d", d.ID, last[d.Key])
				}
				last[d.Key] = d.Sequence
			}
			r.post(75, 10) // and it goes on
			r.probes["moving"].await(t, 10)
			r.probes["steady"].await(t, 10)
			if n := len(r.probes["steady"].came); n != 0 {
				t.Errorf("%d deliveries of the replay came to the other", n)
			}
			if s := r.app.Destinations()[1]; s.State != router.StateRunning {
				t.Errorf("it is %s", s.State)
			}
		})
	}
}
