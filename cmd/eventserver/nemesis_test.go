package main_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nemesis does to the servers what may happen to them. Its methods are called
// by one goroutine, the test's.
type nemesis struct {
	t       *testing.T
	o       *oracle
	servers []*server
	running map[*server]*process
	brokers *kafkaCluster // nil: they are left alone
	rng     *rand.Rand
	longest time.Duration // of a pause

	kills, pauses, restarts, joins, leaves, brokerKills, failedStarts int
}

func newNemesis(t *testing.T, o *oracle, servers []*server, seed uint64) *nemesis {
	return &nemesis{t: t, o: o, servers: servers, running: map[*server]*process{}, longest: 8 * time.Second,
		rng: rand.New(rand.NewPCG(seed, 4))}
}

// pick chooses one of those that run.
func (n *nemesis) pick() *server {
	var up []*server
	for _, s := range n.servers {
		if n.running[s] != nil {
			up = append(up, s)
		}
	}
	return up[n.rng.IntN(len(up))]
}

func (n *nemesis) start(s *server) {
	n.o.causes.fault("join", "")
	for deadline := time.Now().Add(time.Minute); ; {
		p, err := s.launch(n.t)
		if err == nil {
			n.running[s] = p
			return
		}
		if n.brokers == nil || time.Now().After(deadline) {
			n.t.Fatal(err)
		}
		// While a broker is down a start may fail, and is told at once. We are
		// the supervisor that starts it again.
		n.failedStarts++
		n.t.Logf("while a broker was down: %v", err)
		<-time.After(time.Second) // as a supervisor does
	}
}

// startAll starts those that do not run, the first few.
func (n *nemesis) startAll(most int) {
	for _, s := range n.servers[:most] {
		if n.running[s] == nil {
			n.start(s)
		}
	}
}

// delivers waits until an instance that was started has delivered something.
func (n *nemesis) delivers(s *server) {
	n.t.Helper()
	waitFor(n.t, 30*time.Second, "the first delivery of "+s.instance+" after its start", func() bool {
		return !n.o.awaits(s.instance) || n.running[s].gone()
	})
}

// look fails the test when a server ended by itself, and starts it again.
func (n *nemesis) look() {
	for s, p := range n.running {
		if p.gone() {
			n.t.Errorf("server %s ended by itself: %v\n%s", s.instance, p.ended(), s.tail())
			n.start(s)
		}
	}
}

func (n *nemesis) kill() {
	s := n.pick()
	n.o.causes.fault("kill", "")
	n.running[s].kill()
	n.kills++
	n.start(s)
	n.delivers(s)
}

func (n *nemesis) pause() {
	p := n.running[n.pick()]
	n.o.causes.fault("pause", "")
	p.signal(syscall.SIGSTOP)
	<-time.After(time.Second + time.Duration(n.rng.Int64N(int64(n.longest-time.Second)))) // how long the fault lasts
	p.signal(syscall.SIGCONT)
	n.pauses++
}

func (n *nemesis) restart() {
	s := n.pick()
	n.o.causes.fault("restart", "")
	n.running[s].terminate()
	n.restarts++
	n.start(s)
	n.delivers(s)
}

// scale lets the last server join, or leave.
func (n *nemesis) scale() {
	s := n.servers[len(n.servers)-1]
	if p := n.running[s]; p != nil {
		n.o.causes.fault("leave", "")
		p.terminate()
		delete(n.running, s)
		n.leaves++
		return
	}
	n.start(s)
	n.joins++
	n.delivers(s)
}

// killBroker kills one broker; it is restarted behind our back.
func (n *nemesis) killBroker() {
	n.o.causes.fault("broker kill", "")
	if n.brokers.kill(1 + n.rng.IntN(3)) {
		n.brokerKills++
	}
}

// end repairs everything.
func (n *nemesis) end(most int) {
	if n.brokers != nil {
		n.brokers.repaired()
	}
	n.look()
	n.startAll(most)
}

// memory tells the most that each server had resident, in MiB.
func (n *nemesis) memory() string {
	var all []string
	for _, s := range n.servers {
		all = append(all, fmt.Sprintf("%s %d", s.instance, s.resident.most.Load()>>20))
	}
	return strings.Join(all, ", ") + " MiB"
}

// stopAll terminates every server.
func (n *nemesis) stopAll() {
	for _, s := range n.servers {
		if p := n.running[s]; p != nil {
			p.terminate()
		}
		for _, line := range s.crashes() {
			n.t.Errorf("log of %s: %s", s.instance, line)
		}
	}
}
