package checker_test

import (
	"testing"

	"eventserver/cmd/eventserver/internal/checker"
)

// The faults that only a chaos run looks for, each seen, and only that.
func TestEachChaosFaultIsSeen(t *testing.T) {
	mayPoison := func(destination, user string, n int) bool { return destination == "a" && user == "u" && n == 2 }
	for name, test := range map[string]struct {
		also func(c *checker.Checker)
		want checker.Verdict
		ok   bool
	}{
		"poisoned as meant":   {func(c *checker.Checker) { c.Poison("a", "u", 2) }, checker.Verdict{Poisoned: 1}, true},
		"poisoned nowhere":    {func(*checker.Checker) {}, checker.Verdict{Lost: 1}, false},
		"poisoned twice":      {func(c *checker.Checker) { c.Poison("a", "u", 2); c.Poison("a", "u", 2) }, checker.Verdict{Poisoned: 1, PoisonedAgain: 1}, true},
		"poisoned wrongly":    {func(c *checker.Checker) { c.Poison("a", "u", 2); c.Poison("a", "u", 3) }, checker.Verdict{Poisoned: 2, Wronged: 1}, false},
		"poisoned elsewhere":  {func(c *checker.Checker) { c.Poison("a", "u", 2); c.Poison("b", "u", 2) }, checker.Verdict{Poisoned: 2, Wronged: 1}, false},
		"poison of a nobody":  {func(c *checker.Checker) { c.Poison("a", "u", 2); c.Poison("a", "x", 1) }, checker.Verdict{Poisoned: 1, Foreign: 1}, false},
		"never posted":        {func(c *checker.Checker) { c.Poison("a", "u", 2); c.Deliver("a", "u", 4, 1) }, checker.Verdict{Poisoned: 1, Foreign: 1}, false},
		"number zero":         {func(c *checker.Checker) { c.Poison("a", "u", 2); c.Deliver("a", "u", 0, 1) }, checker.Verdict{Poisoned: 1, Foreign: 1}, false},
		"other bytes":         {func(c *checker.Checker) { c.Poison("a", "u", 2); c.Foreign("other bytes") }, checker.Verdict{Poisoned: 1, Foreign: 1}, false},
		"skips the poisoned":  {func(c *checker.Checker) { c.Poison("a", "u", 2) }, checker.Verdict{Poisoned: 1}, true},
		"within the limit":    {func(c *checker.Checker) { c.Poison("a", "u", 2); tries(c, 1, 2, 3) }, checker.Verdict{Poisoned: 1, MostAttempts: 3, MostRuns: 1}, true},
		"one more":            {func(c *checker.Checker) { c.Poison("a", "u", 2); tries(c, 1, 2, 3, 4) }, checker.Verdict{Poisoned: 1, MostAttempts: 4, MostRuns: 1, Overruns: 1}, false},
		"begun anew":          {func(c *checker.Checker) { c.Poison("a", "u", 2); tries(c, 1, 2, 3, 1, 2, 3) }, checker.Verdict{Poisoned: 1, MostAttempts: 6, MostRuns: 2}, true},
		"begun anew, too far": {func(c *checker.Checker) { c.Poison("a", "u", 2); tries(c, 1, 1, 2, 3, 4) }, checker.Verdict{Poisoned: 1, MostAttempts: 5, MostRuns: 2, Overruns: 1}, false},
		"unavailable": {func(c *checker.Checker) {
			c.Poison("a", "u", 2)
			for n := 1; n <= 9; n++ {
				c.Attempt("b", "u", 1, n)
			}
		}, checker.Verdict{Poisoned: 1, MostRuns: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := checker.New("a", "b")
			c.Limit(3)
			c.PoisonOnly(mayPoison)
			c.Post("u", 3)
			c.Accept("u", 3)
			for _, d := range []string{"a", "b"} {
				for n := 1; n <= 3; n++ {
					if !mayPoison(d, "u", n) {
						c.Deliver(d, "u", n, int64(n))
					}
				}
			}
			test.also(c)
			got := c.Verdict()
			test.want.Accepted, test.want.Delivered = 3, 5
			if got.OK() != test.ok || got.OK() != (len(got.Faults()) == 0) {
				t.Errorf("OK is %v with the faults %q", got.OK(), got.Faults())
			}
			got.Breaks, got.Missing, got.Wrong, got.Strange, got.Overrun = nil, nil, nil, nil, nil
			if g, w := counts(got), counts(test.want); g != w {
				t.Errorf("got  %+v\nwant %+v", g, w)
			}
		})
	}
}

// tries are attempts of one delivery, by their numbers.
func tries(c *checker.Checker, numbers ...int) {
	for _, number := range numbers {
		c.Attempt("b", "u", 1, number)
		c.Spend("b", "u", 1)
	}
}

func counts(v checker.Verdict) [12]int {
	return [...]int{v.Accepted, v.Delivered, v.Lost, v.Duplicates, v.StoredTwice, v.OrderBreaks,
		v.Poisoned, v.PoisonedAgain, v.Wronged, v.Foreign, v.Overruns, v.MostAttempts*1000 + v.MostRuns}
}

// Attempt tells a receiver how often it has seen the delivery.
func TestAttemptsBefore(t *testing.T) {
	c := checker.New("a")
	for want := range 3 {
		if got := c.Attempt("a", "u", 1, 1); got != want {
			t.Errorf("before attempt %d there were %d", want+1, got)
		}
	}
	if got := c.Attempt("a", "u", 2, 1); got != 0 {
		t.Errorf("another event has %d", got)
	}
}

func TestHas(t *testing.T) {
	c := checker.New("a")
	c.Deliver("a", "u", 2, 0)
	if !c.Has("a", "u", 2) || c.Has("a", "u", 1) || c.Has("a", "u", 3) || c.Has("b", "u", 2) {
		t.Error("Has does not know what came")
	}
}
