package main_test

import (
	"fmt"
	"testing"
)

// cast is who receives in a run, and what becomes of them.
type cast struct {
	destinations []string
	script       func(seed uint64) *script
	proxied      []string // their connections are cut
	down         map[string][]stage
	// What must have happened, or the run proves nothing about it.
	answers []answer
	classes []string // of latencies
	poisons bool
	repeats bool // a receiver is so slow that a kill meets attempts under way
}

// stage is how a destination is down, from some progress of the run on.
type stage struct {
	from float64
	how  answer // ok200: it is up again
}

// moodyCast is five destinations that fail in every way, of which one is wholly
// down for a while in the middle: it refuses connections, then it answers 503. A
// breaker that pauses long enough meets the first alone.
func moodyCast() cast {
	return cast{
		destinations: []string{"healthy", "flaky", "moody", "down", "slow"}, script: chaosScript, proxied: []string{"flaky", "moody"},
		down:    map[string][]stage{"down": {{.3, refused}, {.45, down503}, {.6, ok200}}},
		answers: []answer{fail500, busy429, bad400, hang, reset, slow200},
		classes: []string{"healthy destination quiet", "healthy users faults", "ingest quiet", "ingest faults"}, poisons: true, repeats: true,
	}
}

// downCast is thirty destinations, of which twenty are down from the first fault
// on: half of them until four fifths of the run, half until its last fault.
func downCast() cast {
	profiles := map[string]profile{}
	c := cast{
		script: func(seed uint64) *script { return &script{seed: seed, profiles: profiles} }, down: map[string][]stage{},
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
			c.down[id] = []stage{{0, how}, {until, ok200}}
		}
	}
	return c
}

// outages are those of one run.
type outages struct {
	o    *oracle
	left map[string][]stage
}

func (c cast) outages(o *oracle) *outages {
	left := map[string][]stage{}
	for id, stages := range c.down {
		left[id] = stages
	}
	return &outages{o, left}
}

// at begins the stages that are due.
func (d *outages) at(t *testing.T, progress float64) {
	t.Helper()
	for id, stages := range d.left {
		for len(stages) > 0 && progress >= stages[0].from {
			if stages[0].how != ok200 {
				d.o.causes.fault("outage", id)
			}
			d.o.sites[id].turn(t, stages[0].how)
			stages = stages[1:]
		}
		d.left[id] = stages
	}
}
