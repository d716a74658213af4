package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// manyText is a configuration with destinations of which each wants a type of its own.
func manyText(ids ...string) string {
	text := reloadHead + "destinations:\n"
	for _, id := range ids {
		text += fmt.Sprintf("  - {id: %s, kind: echo, types: [of.%s]}\n", id, id)
	}
	return text
}

// awaitMetrics returns when one scrape shows for every destination what is wanted of it.
func (r *reloading) awaitMetrics(ids []string, want func(id string) []string) {
	r.Helper()
	missing := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		lines := map[string]bool{}
		_, metrics := get(r.T, r.url+"/metrics")
		for line := range strings.Lines(metrics) {
			lines[strings.TrimSpace(line)] = true
		}
		missing = ""
		for _, id := range ids {
			for _, line := range want(id) {
				if !lines[line] {
					missing = line
				}
			}
		}
		if missing == "" {
			return
		}
	}
	r.Fatalf("the metrics never showed %s", missing)
}

// awaitReading returns when the process reads every partition for each destination.
func (r *reloading) awaitReading(ids []string, partitions int) {
	r.Helper()
	r.awaitMetrics(ids, func(id string) []string {
		return []string{
			fmt.Sprintf(`eventserver_partitions_assigned{destination="%s",stage="transform"} %d`, id, partitions),
			fmt.Sprintf(`eventserver_partitions_assigned{destination="%s",stage="deliver"} %d`, id, partitions),
		}
	})
}

// What is idle costs a fixed number of goroutines, which all wait, and no descriptor: a
// thousand destinations are held to it by what forty more take.
func TestAnIdleDestinationTakesLittle(t *testing.T) {
	const partitions, few, more = 4, 2, 40
	// Two Watermill routers with six each, and one for each partition of both stages.
	const each = 2*6 + 2*partitions
	var ids []string
	for i := range few + more {
		ids = append(ids, fmt.Sprintf("d%d", i))
	}
	r := startReloading(t, fmt.Sprintf("{kind: embedded, dir: %q, partitions: %d}", filepath.Join(t.TempDir(), "data"), partitions), manyText(ids[:few]...))
	r.awaitReading(ids[:few], partitions)
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Log("descriptors are not counted here:", err)
		}
		return len(all)
	}
	goroutines, files := runtime.NumGoroutine(), descriptors()
	if _, err := r.reload(manyText(ids...)); err != nil {
		t.Fatal(err)
	}
	r.awaitReading(ids, partitions)
	const slack = 20 // connections of this test, and what the runtime and the log of the broker come by
	grown := 0
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) { // what ends with the reload ends
		if grown = runtime.NumGoroutine() - goroutines; grown <= more*each+slack {
			break
		}
	}
	if grown > more*each+slack {
		t.Errorf("%d destinations more take %d goroutines, want %d each", more, grown, each)
	}
	if grown < more {
		t.Errorf("%d destinations more take %d goroutines: something else ended", more, grown)
	}
	if n := descriptors() - files; n > slack {
		t.Errorf("%d destinations more take %d descriptors", more, n)
	}
}

// Of many destinations one comes and one goes: the others are neither built again nor
// interrupted, and have their counts.
func TestReloadAmongManyTouchesNoOther(t *testing.T) {
	const partitions = 4
	var ids []string
	for i := range 30 {
		ids = append(ids, fmt.Sprintf("d%d", i))
	}
	r := startReloading(t, fmt.Sprintf("{kind: memory, partitions: %d}", partitions), manyText(ids...))
	r.awaitReading(ids, partitions)
	for _, id := range ids {
		if code, body := post(t, r.url+"/v1/events", fmt.Sprintf(`{"type":"of.%s","userId":"u"}`, id)); code/100 != 2 {
			t.Fatal(code, body)
		}
	}
	counted := func(ids []string) {
		r.awaitMetrics(ids, func(id string) []string {
			return []string{fmt.Sprintf(`eventserver_deliveries_total{destination="%s",outcome="delivered"} 1`, id)}
		})
	}
	counted(ids)
	gone, rest := ids[7], slices.Concat(ids[:7], ids[8:])
	c, err := r.reload(manyText(append(slices.Clone(rest), "new")...))
	if err != nil || !slices.Equal(c.Added, []string{"new"}) || !slices.Equal(c.Removed, []string{gone}) || !slices.Equal(c.Unchanged, rest) {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, id := range rest {
		if got := r.counts(id); got != [2]int{1, 0} {
			t.Errorf("%s was built and closed %v times", id, got)
		}
	}
	counted(rest)
	if _, metrics := get(t, r.url+"/metrics"); strings.Contains(metrics, `"`+gone+`"`) || strings.Contains(metrics, "."+gone+`"`) {
		t.Errorf("%s has gone and left series", gone)
	}
	for _, id := range []string{"new", rest[0]} {
		if code, body := post(t, r.url+"/v1/events", fmt.Sprintf(`{"type":"of.%s","userId":"u"}`, id)); code/100 != 2 {
			t.Fatal(code, body)
		}
	}
	awaitMetric(t, r.url, `eventserver_deliveries_total{destination="new",outcome="delivered"} 1`)
	awaitMetric(t, r.url, fmt.Sprintf(`eventserver_deliveries_total{destination="%s",outcome="delivered"} 2`, rest[0]))
}
