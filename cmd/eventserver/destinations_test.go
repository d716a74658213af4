package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"eventserver/app/admin"
)

// Attempts at a destination that is down were shown as spent.
func TestAttemptsThatDoNotCount(t *testing.T) {
	for _, tt := range []struct {
		attempts, counted int
		want              string
	}{{0, 0, "0 of 10"}, {5, 5, "5 of 10"}, {5, 0, "5, 0 of 10 count"}, {7, 2, "7, 2 of 10 count"}} {
		var b strings.Builder
		err := stuckTable(&b, []admin.StuckKey{{Key: "ada", EventID: "e1", Reason: "backoff", Attempts: tt.attempts, Counted: tt.counted, Limit: 10}}, time.Now())
		if err != nil || !strings.Contains(b.String(), "  "+tt.want+"  ") {
			t.Errorf("%v, want %s in\n%s", err, tt.want, b.String())
		}
	}
}

// A damaged broker was a problem of a destination that delivers, and nothing of it was
// shown without --check or --json.
func TestProblemsAreShown(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		state admin.DestinationState
		table string
		lines []string
	}{
		{admin.DestinationState{ID: "crm", Problems: []string{"files are damaged", "1 record was passed over"}}, "  files are damaged; 1 record was passed over\n",
			[]string{"problem      files are damaged\n", "problem      1 record was passed over\n"}},
		{admin.DestinationState{ID: "crm", Why: "breaker open", Problems: []string{"breaker open"}}, "  breaker open\n", []string{"why          breaker open\n"}},
		{admin.DestinationState{ID: "crm"}, "  -\n", nil},
	} {
		var table, detail strings.Builder
		if err := errors.Join(destinationTable(&table, []admin.DestinationState{tt.state}, now), destinationDetail(&detail, tt.state, now)); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(table.String(), tt.table) {
			t.Errorf("want %q at the end of\n%s", tt.table, table.String())
		}
		for _, line := range tt.lines {
			if !strings.Contains(detail.String(), line) {
				t.Errorf("want %q in\n%s", line, detail.String())
			}
		}
		if n := strings.Count(detail.String(), "problem") + strings.Count(detail.String(), "why"); n != len(tt.lines) {
			t.Errorf("%d lines instead of %d:\n%s", n, len(tt.lines), detail.String())
		}
	}
}

// The lag of a stage that waits looked like one that does not keep up.
func TestAWaitingTransformStageIsShown(t *testing.T) {
	const want = "the events that are not transformed yet wait"
	for waits, shown := range map[string]bool{"breaker": true, "": false} {
		var b strings.Builder
		if err := destinationDetail(&b, admin.DestinationState{ID: "crm", Waits: waits}, time.Now()); err != nil || strings.Contains(b.String(), want) != shown {
			t.Errorf("%q: %v, shown %v in\n%s", waits, err, !shown, b.String())
		}
	}
}
