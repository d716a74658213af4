package chaos_test

import (
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// Graceful restarts under load cut nothing: no delivery comes twice, and what
// was refused was not stored. Five restarts, and twenty in the chaos suite.
func TestRestartsUnderLoad(t *testing.T) {
	times := 5
	if chaosForm(t) != "" {
		times = 20
	}
	bin := harness.Program(t)
	for name, broker := range durableBrokers(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			s := newServer(t, o, "a", setup{bin: bin, broker: broker})
			p := s.Start(t)
			c := newClients(t, o, 16, s.Addr)
			c.load()
			for range times {
				awaitDeliveries(t, o, 200)
				p.Terminate()
				p = s.Start(t)
			}
			c.stop()
			o.settle(t)
			p.Terminate()
			t.Logf("%d restarts; first delivery after a start: median %v, longest %v", times, percentile(o.firsts, .5), percentile(o.firsts, 1))
			if v := o.check.Verdict(); v.Duplicates != 0 || v.StoredTwice != 0 {
				t.Errorf("over %d graceful restarts %d duplicates, %d stored but refused", times, v.Duplicates, v.StoredTwice)
			}
		})
	}
}

// Two servers that are restarted in turn, as a rolling update does: each comes
// back before its session is over and finds its partitions, so nothing moves and
// nothing comes twice.
func TestRollingRestarts(t *testing.T) {
	times := 4
	if chaosForm(t) != "" {
		times = 20
	}
	bin := harness.Program(t)
	for name, broker := range brokersApart(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			servers := []*server{newServer(t, o, "a", setup{bin: bin, broker: broker}), newServer(t, o, "b", setup{bin: bin, broker: broker})}
			running := []*harness.Process{servers[0].Start(t), servers[1].Start(t)}
			for _, s := range servers {
				s.Ready(t)
			}
			c := newClients(t, o, 16, servers[0].Addr, servers[1].Addr)
			c.load()
			for i := range times {
				awaitDeliveries(t, o, 200)
				running[i%2].Terminate()
				running[i%2] = servers[i%2].Start(t)
				servers[i%2].Ready(t)
			}
			c.stop()
			o.settle(t)
			for _, p := range running {
				p.Terminate()
			}
			if v := o.check.Verdict(); v.Duplicates != 0 || v.StoredTwice != 0 {
				t.Errorf("over %d rolling restarts %d duplicates, %d stored but refused", times, v.Duplicates, v.StoredTwice)
			}
		})
	}
}

// A third server that joins and leaves moves partitions. What was under way is
// cut and comes again; nothing is lost or out of order.
func TestJoinsAndLeaves(t *testing.T) {
	if chaosForm(t) == "" {
		t.Skip("runs with EVENTSERVER_CHAOS=short or long")
	}
	bin := harness.Program(t)
	for name, broker := range brokersApart(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			a := newServer(t, o, "a", setup{bin: bin, broker: broker})
			b := newServer(t, o, "b", setup{bin: bin, broker: broker})
			pa := a.Start(t)
			a.Ready(t)
			c := newClients(t, o, 16, a.Addr)
			c.load()
			for range 5 {
				awaitDeliveries(t, o, 200)
				pb := b.Start(t)
				b.Ready(t)
				harness.WaitFor(t, 30*time.Second, "the first delivery of the one that joined", func() bool { return !o.awaits("b") })
				pb.Terminate()
			}
			awaitDeliveries(t, o, 200)
			c.stop()
			v := o.settle(t)
			pa.Terminate()
			moves := o.count(func() int { return o.moves })
			t.Logf("5 joins and leaves, users changed hands %d times: %d duplicates", moves, v.Duplicates)
			if moves == 0 {
				t.Error("no user changed hands")
			}
		})
	}
}
