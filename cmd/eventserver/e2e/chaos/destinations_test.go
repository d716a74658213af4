package chaos_test

import (
	"fmt"
	"testing"
)

// destinationSet is the destinations of a run, and how their receivers fail.
type destinationSet struct {
	destinations []string
	script       func(seed uint64) *script
	proxied      []string // their connections are cut
	down         map[string][]outage
	// What must have happened, or the run proves nothing about it.
	answers []answer
	classes []string // of latencies
	poisons bool
	repeats bool // a receiver is so slow that a kill meets attempts under way
}

// outage is how a destination is down, from some progress of the run on.
type outage struct {
	from float64
	how  answer // ok200: it is up again
}

// mixedSet is five destinations that fail in every way, of which one is wholly
// down for a while in the middle: it refuses connections, then it answers 503. A
// breaker that pauses long enough meets the first alone.
func mixedSet() destinationSet {
	return destinationSet{
		destinations: []string{"healthy", "flaky", "moody", "down", "slow"}, script: chaosScript, proxied: []string{"flaky", "moody"},
		down:    map[string][]outage{"down": {{.3, refused}, {.45, down503}, {.6, ok200}}},
		answers: []answer{fail500, busy429, bad400, hang, reset, slow200},
		classes: []string{"healthy destination quiet", "healthy users faults", "ingest quiet", "ingest faults"}, poisons: true, repeats: true,
	}
}

// downSet is thirty destinations, of which twenty are down from the first fault
// on: half of them until four fifths of the run, half until its last fault.
func downSet() destinationSet {
	profiles := map[string]profile{}
	c := destinationSet{
		script: func(seed uint64) *script { return &script{seed: seed, profiles: profiles} }, down: map[string][]outage{},
		answers: []answer{busy429, down503, hang},
		classes: []string{"healthy destination quiet", "healthy destination faults", "ingest quiet", "ingest faults"},
	}
	for i := range 10 {
		id := fmt.Sprintf("healthy%d", i)
		c.destinations, profiles[id] = append(c.destinations, id), profile{healthy: true}
	}
	for how, name := range map[answer]string{refused: "refuses", hang: "hangs", down503: "answers503", busy429: "answers429"} {
		for i := range 5 {
			id, until := fmt.Sprintf("%s%d", name, i), .8
			if i%2 == 1 {
				until = 1
			}
			c.destinations, profiles[id] = append(c.destinations, id), profile{down: true}
			c.down[id] = []outage{{0, how}, {until, ok200}}
		}
	}
	return c
}

// outageSchedule is the outages of one run that are still to come.
type outageSchedule struct {
	o    *oracle
	left map[string][]outage
}

func (c destinationSet) schedule(o *oracle) *outageSchedule {
	left := map[string][]outage{}
	for id, outages := range c.down {
		left[id] = outages
	}
	return &outageSchedule{o, left}
}

// at begins the outages that are due.
func (d *outageSchedule) at(t *testing.T, progress float64) {
	t.Helper()
	for id, outages := range d.left {
		for len(outages) > 0 && progress >= outages[0].from {
			if outages[0].how != ok200 {
				d.o.causes.fault("outage", id)
			}
			d.o.receivers[id].fail(t, outages[0].how)
			outages = outages[1:]
		}
		d.left[id] = outages
	}
}
