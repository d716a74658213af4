package router

import (
	"errors"
	"slices"
	"testing"
	"time"

	"eventserver/metrics"
)

// What somebody should look at is told, and what is in the order of things is not.
func TestProblems(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	ago := now.Add(-time.Minute)
	well := Status{State: StateRunning, Assigned: true, Concurrency: 4}
	tests := map[string]struct {
		change func(s *Status)
		want   []string
	}{
		"well":  {func(*Status) {}, nil},
		"busy":  {func(s *Status) { s.InFlight, s.BlockedKeys, s.BlockedBy = 4, 9, map[string]int{metrics.WaitSlot: 9} }, nil},
		"users": {func(s *Status) { s.BlockedBy = map[string]int{metrics.WaitBackoff: 2, metrics.WaitAttempt: 3} }, []string{"2 users wait behind an event of theirs whose attempts fail"}},
		"breaker": {func(s *Status) {
			s.Breaker = BreakerStatus{Open: true, Since: ago, Until: now.Add(time.Second), Cause: "refused"}
			s.BlockedBy = map[string]int{metrics.WaitBackoff: 2} // it says all of that
		}, []string{"breaker open until 12:00:01Z: refused"}},
		"paused": {func(s *Status) { s.State, s.Pause = StatePaused, &Note{By: "ada", At: ago, Why: "moving"} }, []string{"paused by ada since 11:59:00Z: moving"}},
		"broker": {func(s *Status) {
			s.Silent = &Silence{Since: ago, Cause: errors.New("none answers").Error()}
			s.BlockedBy = map[string]int{metrics.WaitBroker: 1}
		}, []string{"the broker has not answered since 11:59:00Z: none answers", "1 user waits for the broker to take a record, such as that of the poison queue"}},
		"nobody reads": {func(s *Status) { s.Assigned = false }, []string{"it has no partitions: the broker has not given it any yet, or other processes have them all"}},
	}
	for name, tt := range tests {
		s := well
		tt.change(&s)
		if got := s.Problems(now); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
