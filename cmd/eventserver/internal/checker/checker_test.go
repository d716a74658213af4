package checker_test

import (
	"testing"

	"eventserver/cmd/eventserver/internal/checker"
)

// A checker that cannot fail proves nothing: each fault is seen, and only that.
func TestEachFaultIsSeen(t *testing.T) {
	good := func(c *checker.Checker) {
		c.Accept("u", 3)
		for _, d := range []string{"a", "b"} {
			for n := 1; n <= 3; n++ {
				c.Deliver(d, "u", n, int64(10*n))
			}
		}
	}
	for name, test := range map[string]struct {
		also func(c *checker.Checker)
		want checker.Verdict
	}{
		"nothing":          {func(*checker.Checker) {}, checker.Verdict{Accepted: 3, Delivered: 6}},
		"lost at one":      {func(c *checker.Checker) { c.Accept("v", 1); c.Deliver("a", "v", 1, 0) }, checker.Verdict{Accepted: 4, Delivered: 7, Lost: 1}},
		"lost in between":  {func(c *checker.Checker) { c.Accept("u", 5); c.Deliver("a", "u", 5, 0) }, checker.Verdict{Accepted: 5, Delivered: 7, Lost: 3}},
		"duplicate":        {func(c *checker.Checker) { c.Deliver("a", "u", 1, 10) }, checker.Verdict{Accepted: 3, Delivered: 6, Duplicates: 1}},
		"stored twice":     {func(c *checker.Checker) { c.Deliver("a", "u", 1, 99) }, checker.Verdict{Accepted: 3, Delivered: 6, StoredTwice: 1}},
		"copy comes again": {func(c *checker.Checker) { c.Deliver("a", "u", 1, 99); c.Deliver("a", "u", 1, 99) }, checker.Verdict{Accepted: 3, Delivered: 6, StoredTwice: 1, Duplicates: 1}},
		"out of order": {func(c *checker.Checker) {
			c.Accept("u", 5)
			for _, d := range []string{"a", "b"} {
				c.Deliver(d, "u", 5, 0)
				c.Deliver(d, "u", 4, 0)
			}
		}, checker.Verdict{Accepted: 5, Delivered: 10, OrderBreaks: 2}},
		"never accepted but came": {func(c *checker.Checker) { c.Deliver("a", "u", 4, 0) }, checker.Verdict{Accepted: 3, Delivered: 7}},
		"excused":                 {func(c *checker.Checker) { c.Accept("w", 9); c.Excuse("w") }, checker.Verdict{Accepted: 12, Delivered: 6}},
	} {
		t.Run(name, func(t *testing.T) {
			c := checker.New("a", "b")
			good(c)
			test.also(c)
			got := c.Verdict()
			if (got.Lost > 0) != (len(got.Missing) > 0) || (got.OrderBreaks > 0) != (len(got.Breaks) > 0) {
				t.Errorf("faults are counted but not named: %+v", got)
			}
			got.Missing, got.Breaks = nil, nil
			if got.String() != test.want.String() || got.StoredTwice != test.want.StoredTwice || got.OK() != (test.want.Lost+test.want.OrderBreaks == 0) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
