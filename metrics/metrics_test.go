package metrics

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// series are the names of all series with the label destination="d".
func series(t *testing.T, reg *prometheus.Registry) map[string]int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "destination" && l.GetValue() == "d" {
					out[strings.TrimPrefix(f.GetName(), namespace+"_")]++
				}
			}
		}
	}
	return out
}

// An alert on a destination that has never delivered can fire only when its
// series are there from the start, and must not outlive the destination.
func TestIdleDestinationExportsZeroes(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := New(reg)
	if err != nil {
		t.Fatal(err)
	}
	d := m.Destination("d", "webhook", func() State {
		return State{Readers: []Reader{{Stage: "transform"}, {Stage: "deliver"}}, Lag: []Lag{{Topic: "events", Group: "transform.d"}}}
	})
	want := map[string]int{
		"deliveries_total": 3, "attempts_total": 8, "attempt_duration_seconds": 1, "delivery_latency_seconds": 1, "retries_total": 1,
		"poisoned_total": 7, "destination_info": 1, "in_flight_attempts": 1, "buffered_messages": 1, "blocked_keys": 9, "oldest_blocked_key_seconds": 1,
		"oldest_undelivered_seconds": 1, "breaker_open": 1, "destination_paused": 1, "destination_held": 1, "partitions_assigned": 2, "read_window_ratio": 1, "deferred_messages": 1,
		"commit_metadata_full_total": 1, "unreadable_messages_total": 1,
	}
	got := series(t, reg)
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d series, want %d", name, got[name], n)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s is not in the list of this test", name)
	}
	d.Remove()
	if left := series(t, reg); len(left) != 0 {
		t.Errorf("after Remove there is still %v", left)
	}
}

// What was oldest at the last look may be delivered since: a scrape between two
// looks must not make it older, or every destination seems to be behind.
func TestAgeIsThatOfTheLook(t *testing.T) {
	noon := time.Now().Add(-time.Hour)
	for want, s := range map[float64]State{0: {}, 2: {Oldest: noon, OldestAt: noon.Add(2 * time.Second)}} {
		reg := prometheus.NewRegistry()
		m, err := New(reg)
		if err != nil {
			t.Fatal(err)
		}
		m.Destination("d", "webhook", func() State { return s })
		text := fmt.Sprintf("# HELP eventserver_oldest_undelivered_seconds Age of the oldest accepted event that is not finished.\n# TYPE eventserver_oldest_undelivered_seconds gauge\neventserver_oldest_undelivered_seconds{destination=\"d\"} %g\n", want)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "eventserver_oldest_undelivered_seconds"); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := New(reg)
	if err != nil {
		t.Fatal(err)
	}
	d := m.Destination("d", "webhook", func() State {
		return State{BreakerOpen: true, Oldest: time.Now().Add(-time.Hour), Blocked: map[string]int{WaitBackoff: 3}}
	})
	d.Attempt(ClassTimeout, 2*time.Second, "")
	d.Finished(Delivered)
	d.Poisoned(ReasonAge)
	err = testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP eventserver_blocked_keys Keys with a message waiting behind an unfinished one, by what that one waits for.
# TYPE eventserver_blocked_keys gauge
eventserver_blocked_keys{destination="d",reason="attempt"} 0
eventserver_blocked_keys{destination="d",reason="backoff"} 3
eventserver_blocked_keys{destination="d",reason="batch"} 0
eventserver_blocked_keys{destination="d",reason="breaker"} 0
eventserver_blocked_keys{destination="d",reason="broker"} 0
eventserver_blocked_keys{destination="d",reason="held"} 0
eventserver_blocked_keys{destination="d",reason="paused"} 0
eventserver_blocked_keys{destination="d",reason="rate_limit"} 0
eventserver_blocked_keys{destination="d",reason="slot"} 0
# HELP eventserver_breaker_open 1 while the destination is paused by its circuit breaker.
# TYPE eventserver_breaker_open gauge
eventserver_breaker_open{destination="d"} 1
# HELP eventserver_destination_info Always 1; the labels tell the destination's kind.
# TYPE eventserver_destination_info gauge
eventserver_destination_info{destination="d",kind="webhook"} 1
# HELP eventserver_deliveries_total Deliveries finished, by outcome.
# TYPE eventserver_deliveries_total counter
eventserver_deliveries_total{destination="d",outcome="delivered"} 1
eventserver_deliveries_total{destination="d",outcome="poisoned"} 1
eventserver_deliveries_total{destination="d",outcome="skipped"} 0
`), "eventserver_deliveries_total", "eventserver_breaker_open", "eventserver_blocked_keys", "eventserver_destination_info")
	if err != nil {
		t.Error(err)
	}
}

// Whoever reads a graph should not have to ask what is counted.
func TestNamesEndInAUnit(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := New(reg)
	if err != nil {
		t.Fatal(err)
	}
	m.Destination("d", "log", func() State { return State{Readers: []Reader{{}}, Lag: []Lag{{}}} })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	unit := regexp.MustCompile(`_(seconds|bytes|ratio|messages|attempts|keys|info|breaker_open|broker_up|broker_damaged|config_last_reload_successful|destination_paused|destination_held|partitions_assigned|[a-z]+_total)$`)
	for _, f := range families {
		if !unit.MatchString(f.GetName()) {
			t.Errorf("%s does not end in a unit", f.GetName())
		}
	}
}

// Two apps in one process have registries of their own; two on one registry is
// an error, not a panic.
func TestRegistryIsInjected(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := New(reg); err != nil {
		t.Fatal(err)
	}
	if _, err := New(reg); err == nil {
		t.Error("registered twice")
	}
	if _, err := New(prometheus.NewRegistry()); err != nil {
		t.Error(err)
	}
}

func TestBucketsReachAnHour(t *testing.T) {
	if s := seconds(); s[0] != .001 || s[len(s)-1] != 3600 {
		t.Errorf("buckets %v: too narrow for a retry schedule", s)
	}
}

// What a process counts of all destinations never goes back: not when a stage begins
// anew, as a replay has it, and not when a destination goes.
func TestCountersOfAllDestinationsOnlyRise(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := New(reg)
	if err != nil {
		t.Fatal(err)
	}
	readers := map[string]*Reader{}
	add := func(id string) *Destination {
		readers[id] = &Reader{Stage: "deliver"}
		return m.Destination(id, "log", func() State { return State{Readers: []Reader{*readers[id]}} })
	}
	want := func(suppressed, full int) {
		t.Helper()
		err := testutil.GatherAndCompare(reg, strings.NewReader(fmt.Sprintf(`
# HELP eventserver_commit_metadata_full_total Commits that could not hold all that was done; a crash then repeats more.
# TYPE eventserver_commit_metadata_full_total counter
eventserver_commit_metadata_full_total{destination="a"} %d
# HELP eventserver_duplicates_suppressed_total Records not handled again because an earlier owner had done them.
# TYPE eventserver_duplicates_suppressed_total counter
eventserver_duplicates_suppressed_total{stage="deliver"} %d
`, full, suppressed)), "eventserver_duplicates_suppressed_total", "eventserver_commit_metadata_full_total")
		if err != nil {
			t.Error(err)
		}
	}
	add("a")
	want(0, 0)
	b := add("b")
	*readers["a"] = Reader{Stage: "deliver", Suppressed: 5, MetadataFull: 2}
	*readers["b"] = Reader{Stage: "deliver", Suppressed: 3}
	b.Remove() // nobody has scraped it
	want(8, 2)
	*readers["a"] = Reader{Stage: "deliver", Suppressed: 1, MetadataFull: 1} // anew
	want(9, 3)
	add("a") // replaced
	want(9, 3)
	*readers["a"] = Reader{Stage: "deliver", Suppressed: 1}
	want(10, 3)
}
