package chaos_test

import (
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/cmd/eventserver/e2e/harness"
)

// The chaos suite: docs/reliability.md tells what it proves.
//
//	EVENTSERVER_CHAOS=short   a minute for each broker; make check
//	EVENTSERVER_CHAOS=long    50,000 events for each broker, three real Kafka brokers; make chaos
//	EVENTSERVER_CHAOS_SEED=n  the script and the order of faults of another run
//	EVENTSERVER_CHAOS_RACE=1  a server built with the race detector

// form is how large a run is.
type form struct {
	name    string
	users   int
	rate    float64       // events offered a second, or as many of them as the machine carries
	least   float64       // but so many at least
	quiet   time.Duration // before the first fault
	faults  time.Duration // at least
	events  int           // at least
	pace    time.Duration // from one fault to the next
	longest time.Duration // of a pause
	fresh   time.Duration // in which an event after the last fault is everywhere
	settles time.Duration // in which everything is
}

func chaosForm(t *testing.T) string {
	t.Helper()
	name := os.Getenv("EVENTSERVER_CHAOS")
	if name != "" && name != "short" && name != "long" {
		t.Fatalf("EVENTSERVER_CHAOS is %q: set short or long", name)
	}
	return name
}

// chaos skips the test unless the suite was asked for.
func chaos(t *testing.T) form {
	t.Helper()
	switch chaosForm(t) {
	case "short":
		return form{name: "short", users: 500, rate: 400, least: 100, quiet: 6 * time.Second, faults: 36 * time.Second,
			pace: 3 * time.Second, longest: 4 * time.Second, fresh: 30 * time.Second, settles: 3 * time.Minute}
	case "long":
		return form{name: "long", users: 500, rate: 400, least: 100, quiet: 20 * time.Second, faults: time.Minute, events: 50_000,
			pace: 3 * time.Second, longest: 8 * time.Second, fresh: 30 * time.Second, settles: 3 * time.Minute}
	}
	t.Skip("the chaos suite runs with EVENTSERVER_CHAOS=short (make check) or long (make chaos)")
	return form{}
}

func chaosSeed(t *testing.T) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("EVENTSERVER_CHAOS_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	t.Logf("seed %d", seed)
	return seed
}

// attemptLimit is the servers' retry.attempts: above what script, cuts and
// pauses together do to one event.
const attemptLimit = 8

// attemptTimeout is the servers' timeout.
const attemptTimeout = 4 * time.Second

// scenario is one run.
type scenario struct {
	form    form
	set     destinationSet
	o       *oracle
	inject  *faultInjector
	c       *clients
	proxies map[string]*proxy    // by destination
	broker  *harness.Connections // of the broker's own connections; nil: none are cut
	plan    []func()
	joined  int           // servers that run from the start to the end
	poison  func()        // reads the poison queues, when every server has ended
	fresh   time.Duration // how long the event after the last fault took
	offered float64       // events a second, now
	begun   float64       // events a second, at the first fault
}

// newScenario makes the receivers of a set, and a server for each instance.
func newScenario(t *testing.T, f form, set destinationSet, broker string, instances ...string) *scenario {
	t.Helper()
	seed := chaosSeed(t)
	o := newOracle(t, set.destinations...)
	o.script = set.script(seed)
	o.causes.lasting = 100 * time.Millisecond // a fault is noted when it begins, and a busy machine takes its time
	o.check.Limit(attemptLimit)
	o.check.PoisonOnly(func(destination, user string, n int) bool {
		return o.script.endsPoisoned(destination, user, n, o.isClosing(user, n))
	})
	sc := &scenario{form: f, set: set, o: o, joined: len(instances), proxies: map[string]*proxy{}}
	of := setup{broker: broker, urls: map[string]string{}, destinations: ", timeout: " + attemptTimeout.String() + ", breaker: {initial: 500ms, max: 5s}, " +
		"retry: {initial: 100ms, max: 500ms, attempts: " + strconv.Itoa(attemptLimit) + "}"}
	for _, d := range set.proxied {
		p := newProxy(t, o.receivers[d].Addr)
		sc.proxies[d] = p
		of.urls[d] = "http://" + p.addr
	}
	if os.Getenv("EVENTSERVER_CHAOS_RACE") != "" {
		of.bin, of.race = harness.Program(t, "-race"), true
	} else {
		of.bin = harness.Program(t)
	}
	var servers []*server
	var addrs []string
	for _, instance := range instances {
		s := newServer(t, o, instance, of)
		s.Quiet = true
		servers, addrs = append(servers, s), append(addrs, s.Addr)
	}
	sc.inject = newFaultInjector(t, o, servers, seed)
	sc.inject.longest = f.longest
	sc.c = newClients(t, o, f.users, addrs...)
	sc.c.offer(f.rate)
	sc.c.most = func(user string) int {
		if user == failingUser { // each of its events takes seconds to be given up
			return 1 + int((f.quiet+f.faults)/(10*time.Second))
		}
		return 1 << 30
	}
	return sc
}

func (sc *scenario) run(t *testing.T) {
	t.Helper()
	sc.inject.startAll(sc.joined)
	for _, s := range sc.inject.servers[:sc.joined] {
		s.Ready(t)
	}
	sc.c.load()
	sc.carry()
	<-time.After(sc.form.quiet) // what is measured without faults
	sc.begun = sc.offered
	began := time.Now()
	sc.o.watch(true)
	stopCuts := sc.cutNowAndThen()
	progress := func() float64 {
		p := float64(time.Since(began)) / float64(sc.form.faults)
		if sc.form.events > 0 {
			p = min(p, float64(sc.o.count(func() int { return sc.o.accepted }))/float64(sc.form.events))
		}
		return p
	}
	sc.ease()
	outages := sc.set.schedule(sc.o)
	for i := 0; progress() < 1; i++ {
		outages.at(t, progress())
		step := time.Now()
		sc.inject.checkRunning()
		sc.plan[i%len(sc.plan)]()
		rest := max(500*time.Millisecond, sc.form.pace-time.Since(step)) // the pace of the faults
		<-time.After(rest)
		if rest >= caughtUp {
			sc.ease()
		}
		if time.Since(began) > 20*time.Minute {
			t.Fatalf("too slow: %.0f %% after 20 minutes", 100*progress())
		}
	}
	outages.at(t, 1)
	stopCuts()
	sc.inject.repair(sc.joined)
	sc.o.watch(false)
	sc.liveness(t)
	sc.c.stop()
	sc.c.closeUsers()
	harness.WaitFor(t, sc.form.settles, "the last event of every user at every destination", sc.closed)
	sc.inject.stopAll()
	sc.poison()
	sc.verify(t)
}

// slowLatency is a machine that does not keep up, caughtUp after a fault, which a
// long pause does not leave it.
const (
	slowLatency = 250 * time.Millisecond
	caughtUp    = 2 * time.Second
)

// carry offers less until the machine keeps up, and then three fifths of that: a
// server that is killed every three seconds is down or catching up for a part of
// them. What queues is repeated by each kill, and says how fast the machine is,
// not how much is repeated of what was done.
func (sc *scenario) carry() {
	const look = 3 * time.Second
	kept := 0 // looks in a row at which it did
	for sc.offered = sc.form.rate; kept < 2; {
		sc.c.offer(sc.offered)
		sc.o.forget()
		<-time.After(look)
		if sc.offered*.7 < sc.form.least || sc.o.p99("healthy destination quiet") < slowLatency {
			kept++
		} else {
			kept = 0
			sc.offered *= .7
		}
	}
	sc.offered = max(sc.form.least, sc.offered*.6)
	sc.c.offer(sc.offered)
	<-time.After(look)
	sc.o.forget()
}

// ease offers less when the healthy destination has not caught up since the last
// fault: a shared machine may slow down after carry.
func (sc *scenario) ease() {
	if sc.o.lately(time.Now().Add(-time.Second)) < slowLatency || sc.offered <= sc.form.least {
		return
	}
	sc.offered = max(sc.form.least, sc.offered*.8)
	sc.c.offer(sc.offered)
}

// cutNowAndThen cuts connections until the returned function is called.
func (sc *scenario) cutNowAndThen() (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stopped:
				return
			case <-time.After(time.Second + rand.N(2*time.Second)):
			}
			for d, p := range sc.proxies {
				sc.o.causes.fault("cut", d)
				p.ResetSome(.2)
			}
			if sc.broker != nil {
				sc.o.causes.fault("broker cut", "")
				sc.broker.ResetSome(.1)
			}
		}
	}()
	return func() { close(stopped); <-ended }
}

// liveness posts a fresh event after the last fault.
func (sc *scenario) liveness(t *testing.T) {
	t.Helper()
	const user = "u9999"
	sc.o.mu.Lock()
	sc.o.closing[user] = 1
	sc.o.mu.Unlock()
	began := time.Now()
	sc.c.post(user, 1)
	harness.WaitFor(t, sc.form.fresh, "a fresh event after the last fault, at every destination", func() bool { return sc.has(user, 1) })
	sc.fresh = time.Since(began)
}

// has reports whether every destination has an event.
func (sc *scenario) has(user string, n int) bool {
	for _, d := range sc.o.names {
		if !sc.o.check.Has(d, user, n) {
			return false
		}
	}
	return true
}

// closed reports whether every destination has the last event of every user.
func (sc *scenario) closed() bool {
	for user, number := range sc.c.numbers {
		if !sc.has(user, int(number.Load())) {
			return false
		}
	}
	return true
}

// One server with the embedded broker: both die together.
func TestChaosEmbedded(t *testing.T) {
	f := chaos(t)
	dir := filepath.Join(t.TempDir(), "data")
	sc := newScenario(t, f, mixedSet(), embeddedYAML(dir), "a")
	sc.plan = []func(){sc.inject.kill, sc.inject.kill, sc.inject.restart, sc.inject.kill, sc.inject.pause, sc.inject.kill}
	sc.poison = func() { sc.o.readEmbeddedPoison(t, dir) }
	sc.run(t)
}

// Two to three servers at kfake in this process, whose connections are cut.
func TestChaosKfake(t *testing.T) {
	f := chaos(t)
	f.events = 0
	f.faults = f.faults * 3 / 4
	broker := &harness.Connections{}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(100*time.Millisecond),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
			return harness.Listener{Listener: l, Connections: broker}, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	prefix := newPrefix()
	sc := newScenario(t, f, mixedSet(), kafkaYAML(cluster.ListenAddrs(), prefix, 1), "a", "b", "c")
	sc.broker = broker
	sc.group(func() { cluster.ShufflePartitionLeaders() })
	sc.poison = func() { sc.o.readPoison(t, cluster.ListenAddrs(), prefix) }
	sc.run(t)
}

// Two to three servers at a real Kafka; in the long form of three brokers, which
// are killed too.
func TestChaosKafka(t *testing.T) {
	f := chaos(t)
	prefix, replication := newPrefix(), 1
	addrs := strings.Split(os.Getenv("EVENTSERVER_TEST_KAFKA"), ",")
	var cluster *kafkaCluster
	if f.name == "long" {
		cluster = startKafka(t)
		addrs, replication = cluster.addrs, 3
	} else if addrs[0] == "" {
		t.Skip("the short form needs EVENTSERVER_TEST_KAFKA; scripts/kafka start 1 prints it")
	}
	sc := newScenario(t, f, mixedSet(), kafkaYAML(addrs, prefix, replication), "a", "b", "c")
	sc.inject.brokers = cluster
	sc.group(func() {
		if cluster != nil {
			sc.inject.killBroker()
		} else {
			sc.inject.kill()
		}
	})
	sc.poison = func() { sc.o.readPoison(t, addrs, prefix) }
	sc.run(t)
}

// group is the plan for several servers, of which the last comes and goes.
func (sc *scenario) group(broker func()) {
	sc.joined = 2
	sc.o.causes.lasting = 10 * time.Second // the session of a server that was paused for too long, and the rebalance
	sc.plan = []func(){sc.inject.kill, sc.inject.scale, broker, sc.inject.kill, sc.inject.restart, sc.inject.pause, sc.inject.scale, sc.inject.kill, broker}
}
