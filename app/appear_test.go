package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"eventserver/destinations"
)

// numbers are the n of what came, which the test's events carry.
func numbers(ds []destinations.Delivery) string {
	var out []string
	for _, d := range ds {
		_, n, _ := strings.Cut(string(d.Payload.Body), `"n":`)
		out = append(out, strings.TrimSuffix(n, "}"))
	}
	return strings.Join(out, ",")
}

const fromHead = reloadHead + "destinations:\n  - {id: steady, kind: echo}\n"

func with(id, from string) string {
	return fmt.Sprintf("  - {id: %s, kind: echo, from: %q}\n", id, from)
}

// A new destination begins where it is told, at its first appearance alone: what is
// accepted while it is away comes to it, whatever from says then.
func TestFrom(t *testing.T) {
	for name, broker := range brokers(t) {
		t.Run(name, func(t *testing.T) {
			r := startReloading(t, broker, fromHead)
			r.post(0, 3)
			r.probes["steady"].await(t, 3)
			<-time.After(5 * time.Millisecond) // records have times of milliseconds
			since := time.Now().UTC()
			r.post(3, 3)
			r.probes["steady"].await(t, 3)
			at := since.Format("2006-01-02T15:04:05.000Z07:00")
			all := fromHead + with("old", "oldest") + with("later", "now") + with("middle", at)
			if _, err := r.reload(all); err != nil {
				t.Fatal(err)
			}
			r.post(6, 3)
			wants := func(id string, n int, want string) {
				t.Helper()
				got := numbers(r.probes[id].await(t, n))
				if len(strings.Split(got, ",")) != len(strings.Split(want, ",")) || !sameSet(got, want) {
					t.Errorf("%s has %s, want %s", id, got, want)
				}
			}
			wants("old", 9, "0,1,2,3,4,5,6,7,8")
			wants("later", 3, "6,7,8")
			wants("middle", 6, "3,4,5,6,7,8")
			if name == "memory" { // it forgets with the process
				return
			}
			// Away, and back with another from; and a restart with the same.
			if _, err := r.reload(fromHead + with("old", "now")); err != nil {
				t.Fatal(err)
			}
			r.post(9, 3)
			r.probes["old"].await(t, 3)
			r.stop()
			r = startReloading(t, broker, fromHead+with("old", "now")+with("later", "now")+with("middle", "now")+with("fresh", "now"))
			wants("later", 3, "9,10,11")
			wants("middle", 3, "9,10,11")
			r.post(12, 3)
			wants("fresh", 3, "12,13,14")
			wants("old", 3, "12,13,14")
		})
	}
}

func sameSet(a, b string) bool {
	n := map[string]int{}
	for _, s := range strings.Split(a, ",") {
		n[s]++
	}
	for _, s := range strings.Split(b, ",") {
		n[s]--
	}
	for _, c := range n {
		if c != 0 {
			return false
		}
	}
	return true
}
