package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// faultInjector kills, pauses, restarts, adds and removes servers. Its methods are
// called by one goroutine, the test's.
type faultInjector struct {
	t       *testing.T
	o       *oracle
	servers []*server
	running map[*server]*harness.Process
	brokers *kafkaCluster // nil: they are left alone
	rng     *rand.Rand
	longest time.Duration // of a pause

	kills, pauses, restarts, joins, leaves, brokerKills, failedStarts int
}

func newFaultInjector(t *testing.T, o *oracle, servers []*server, seed uint64) *faultInjector {
	return &faultInjector{t: t, o: o, servers: servers, running: map[*server]*harness.Process{}, longest: 8 * time.Second,
		rng: rand.New(rand.NewPCG(seed, 4))}
}

// pick chooses a running server.
func (f *faultInjector) pick() *server {
	var up []*server
	for _, s := range f.servers {
		if f.running[s] != nil {
			up = append(up, s)
		}
	}
	return up[f.rng.IntN(len(up))]
}

func (f *faultInjector) start(s *server) {
	f.o.causes.fault("join", "")
	for deadline := time.Now().Add(time.Minute); ; {
		p, err := s.Launch(f.t)
		if err == nil {
			f.running[s] = p
			return
		}
		if f.brokers == nil || time.Now().After(deadline) {
			f.t.Fatal(err)
		}
		// While a broker is down a start may fail, and is told at once. We are
		// the supervisor that starts it again.
		f.failedStarts++
		f.t.Logf("while a broker was down: %v", err)
		<-time.After(time.Second) // as a supervisor does
	}
}

// startAll starts the first n servers that do not run.
func (f *faultInjector) startAll(n int) {
	for _, s := range f.servers[:n] {
		if f.running[s] == nil {
			f.start(s)
		}
	}
}

// awaitDelivery waits until a started server has delivered something.
func (f *faultInjector) awaitDelivery(s *server) {
	f.t.Helper()
	harness.WaitFor(f.t, 30*time.Second, "the first delivery of "+s.Instance+" after its start", func() bool {
		return !f.o.awaits(s.Instance) || f.running[s].Ended(0)
	})
}

// checkRunning fails the test when a server ended by itself, and starts it again.
func (f *faultInjector) checkRunning() {
	for s, p := range f.running {
		if p.Ended(0) {
			f.t.Errorf("server %s ended by itself: %v\n%s", s.Instance, p.Wait(), s.Tail())
			f.start(s)
		}
	}
}

func (f *faultInjector) kill() {
	s := f.pick()
	f.o.causes.fault("kill", "")
	f.running[s].Kill()
	f.kills++
	f.start(s)
	f.awaitDelivery(s)
}

func (f *faultInjector) pause() {
	p := f.running[f.pick()]
	f.o.causes.fault("pause", "")
	p.Signal(syscall.SIGSTOP)
	<-time.After(time.Second + time.Duration(f.rng.Int64N(int64(f.longest-time.Second)))) // how long the fault lasts
	p.Signal(syscall.SIGCONT)
	f.pauses++
}

func (f *faultInjector) restart() {
	s := f.pick()
	f.o.causes.fault("restart", "")
	f.running[s].Terminate()
	f.restarts++
	f.start(s)
	f.awaitDelivery(s)
}

// scale has the last server join, or leave.
func (f *faultInjector) scale() {
	s := f.servers[len(f.servers)-1]
	if p := f.running[s]; p != nil {
		f.o.causes.fault("leave", "")
		p.Terminate()
		delete(f.running, s)
		f.leaves++
		return
	}
	f.start(s)
	f.joins++
	f.awaitDelivery(s)
}

// killBroker kills one broker, which kafkaCluster starts again.
func (f *faultInjector) killBroker() {
	f.o.causes.fault("broker kill", "")
	if f.brokers.kill(1 + f.rng.IntN(3)) {
		f.brokerKills++
	}
}

// repair ends all faults, and has the first n servers run.
func (f *faultInjector) repair(n int) {
	if f.brokers != nil {
		f.brokers.awaitRepair()
	}
	f.checkRunning()
	f.startAll(n)
}

// peaks says how much memory each server had resident at most, in MiB.
func (f *faultInjector) peaks() string {
	var all []string
	for _, s := range f.servers {
		all = append(all, fmt.Sprintf("%s %d", s.Instance, s.memory.most.Load()>>20))
	}
	return strings.Join(all, ", ") + " MiB"
}

// stopAll terminates every server.
func (f *faultInjector) stopAll() {
	for _, s := range f.servers {
		if p := f.running[s]; p != nil {
			p.Terminate()
		}
		for _, line := range s.Crashes() {
			f.t.Errorf("log of %s: %s", s.Instance, line)
		}
	}
}
