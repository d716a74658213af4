package main

import (
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
