package chaos_test

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// causes explains duplicates: between the first delivery and the second there
// must have been a fault, or else between the event's post and its second
// delivery, where the event was transformed twice. An outage or a late answer
// explains a further attempt, because the answer was lost. A connection that was
// cut explains the same attempt too: the request is repeated once within it. What
// ends a server or moves its partitions explains attempts that begin anew. It is
// fed by the oracle and by what makes faults.
type causes struct {
	// lasting is how long a fault goes on by itself: partitions move until a
	// dead server's session is over.
	lasting time.Duration

	mu     sync.Mutex
	faults []fault
	firsts map[string]time.Time
	ages   map[string][]time.Duration // by kind of the fault: from first delivery to it
	odd    []string                   // duplicates without a fault, the first few
	none   int
	where  map[string]int // duplicates by destination
}

type fault struct {
	at          time.Time
	kind        string
	destination string // "": all
}

func (f fault) explains(again bool, destination string) bool {
	switch f.kind {
	case "cut":
		return f.destination == destination
	case "outage", "late answer":
		return again && f.destination == destination
	case "pause":
		return true
	default:
		return !again
	}
}

// fault notes that something is being done to the servers or to a destination's
// connections.
func (c *causes) fault(kind, destination string) {
	c.mu.Lock()
	c.faults = append(c.faults, fault{time.Now(), kind, destination})
	c.mu.Unlock()
}

// arrival is one delivery of an event.
type arrival struct {
	destination, user string
	n                 int
	sequence          int64 // where it is stored
	attempt           int
	posted, at        time.Time
}

// delivery notes a delivery and, when the same was delivered before, explains
// it by the first fault since.
func (c *causes) delivery(a arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := fmt.Sprintf("%s/%s/%d stored at %d", a.destination, a.user, a.n, a.sequence)
	first, again := c.firsts[id]
	if !again {
		if c.firsts == nil {
			c.firsts, c.ages, c.where = map[string]time.Time{}, map[string][]time.Duration{}, map[string]int{}
		}
		c.firsts[id] = a.at
		return
	}
	c.where[a.destination]++
	if f, ok := c.between(first, a); ok {
		c.ages[f.kind] = append(c.ages[f.kind], max(0, f.at.Sub(first)))
		return
	}
	if f, ok := c.between(a.posted, a); ok {
		kind := "twice transformed by " + f.kind
		c.ages[kind] = append(c.ages[kind], max(0, f.at.Sub(a.posted)))
		return
	}
	c.none++
	if len(c.odd) < 5 {
		c.odd = append(c.odd, fmt.Sprintf("%s came again after %v, attempt %d, with no fault between", id, a.at.Sub(first), a.attempt))
	}
}

// between is the first fault from a time to an arrival that explains it, or else
// the latest one before, if it may still have been going on.
func (c *causes) between(from time.Time, a arrival) (fault, bool) {
	since := sort.Search(len(c.faults), func(i int) bool { return !c.faults[i].at.Before(from) })
	for _, f := range c.faults[since:] {
		if f.explains(a.attempt > 1, a.destination) {
			return f, true
		}
	}
	for i := since - 1; i >= 0 && from.Sub(c.faults[i].at) < c.lasting; i-- {
		if c.faults[i].explains(a.attempt > 1, a.destination) {
			return c.faults[i], true
		}
	}
	return fault{}, false
}

// report is one line: of each cause how many, and the 99th percentile of the
// time from the first delivery to the fault, which is what was not yet committed.
func (c *causes) report() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for kind, ages := range c.ages {
		all = append(all, fmt.Sprintf("%s %d (%v, %v)", kind, len(ages), percentile(ages, .5).Round(time.Millisecond), percentile(ages, .99).Round(time.Millisecond)))
	}
	sort.Strings(all)
	return strings.Join(append(all, fmt.Sprintf("none %d", c.none)), "; ")
}

// A duplicate is explained by a fault between the two deliveries, and by no other.
func TestCauses(t *testing.T) {
	var c causes
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	c.faults = []fault{{at(10), "kill", ""}, {at(20), "cut", "a"}}
	for _, d := range []struct {
		destination              string
		n, sequence, posted, now int
		attempt                  int
	}{
		{"a", 1, 7, 4, 5, 1}, {"a", 1, 7, 4, 12, 1}, // the kill
		{"a", 2, 7, 14, 15, 1}, {"a", 2, 7, 14, 25, 2}, // the cut
		{"a", 2, 8, 14, 26, 1},                         // a client's own copy: no duplicate
		{"b", 2, 7, 14, 15, 1}, {"b", 2, 7, 14, 25, 2}, // the cut was elsewhere
		{"b", 4, 7, 8, 11, 1}, {"b", 4, 7, 8, 12, 1}, // posted before the kill
		{"a", 5, 7, 14, 15, 1}, {"a", 5, 7, 14, 25, 1}, // the cut, within the attempt
		{"b", 5, 7, 14, 15, 1}, {"b", 5, 7, 14, 25, 1}, // the cut was elsewhere
		{"a", 3, 7, 29, 30, 1}, {"a", 3, 7, 29, 31, 2}, // after every fault
	} {
		c.delivery(arrival{d.destination, "u", d.n, int64(d.sequence), d.attempt, at(d.posted), at(d.now)})
	}
	if got, want := c.report(), "cut 2 (5ms, 5ms); kill 1 (5ms, 5ms); twice transformed by kill 1 (2ms, 2ms); none 3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
