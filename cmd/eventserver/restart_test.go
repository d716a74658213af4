package main_test

import (
	"testing"
	"time"
)

// Graceful restarts under load cut nothing: no delivery comes twice, and what
// was refused was not stored. Five restarts, and twenty in the chaos suite.
func TestRestartsUnderLoad(t *testing.T) {
	times := 5
	if chaosForm(t) != "" {
		times = 20
	}
	bin := binary(t)
	for name, broker := range durable(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			s := newServer(t, o, "a", setup{bin: bin, broker: broker})
			p := s.start(t)
			c := newClients(t, o, 16, s.addr)
			c.load()
			for range times {
				works(t, o, 200)
				p.terminate()
				p = s.start(t)
			}
			c.stop()
			o.settle(t)
			p.terminate()
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
	bin := binary(t)
	for name, broker := range clusters(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			servers := []*server{newServer(t, o, "a", setup{bin: bin, broker: broker}), newServer(t, o, "b", setup{bin: bin, broker: broker})}
			running := []*process{servers[0].start(t), servers[1].start(t)}
			for _, s := range servers {
				s.ready(t)
			}
			c := newClients(t, o, 16, servers[0].addr, servers[1].addr)
			c.load()
			for i := range times {
				works(t, o, 200)
				running[i%2].terminate()
				running[i%2] = servers[i%2].start(t)
				servers[i%2].ready(t)
			}
			c.stop()
			o.settle(t)
			for _, p := range running {
				p.terminate()
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
	bin := binary(t)
	for name, broker := range clusters(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			a := newServer(t, o, "a", setup{bin: bin, broker: broker})
			b := newServer(t, o, "b", setup{bin: bin, broker: broker})
			pa := a.start(t)
			a.ready(t)
			c := newClients(t, o, 16, a.addr)
			c.load()
			for range 5 {
				works(t, o, 200)
				pb := b.start(t)
				b.ready(t)
				waitFor(t, 30*time.Second, "the first delivery of the one that joined", func() bool { return !o.awaits("b") })
				pb.terminate()
			}
			works(t, o, 200)
			c.stop()
			v := o.settle(t)
			pa.terminate()
			moves := o.count(func() int { return o.moves })
			t.Logf("5 joins and leaves, users changed hands %d times: %d duplicates", moves, v.Duplicates)
			if moves == 0 {
				t.Error("no user changed hands")
			}
		})
	}
}
