package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/cmd/eventserver/e2e/harness"
)

// downForm is a form for many destinations: each event is delivered thirty times.
func downForm(t *testing.T) form {
	t.Helper()
	f := chaos(t)
	f.users, f.rate, f.least, f.longest, f.fresh, f.settles = 2000, 100, 40, 0, 3*time.Minute, 10*time.Minute
	if f.name == "long" {
		f.users, f.events = 5000, 15_000
	}
	return f
}

// One server, of whose thirty destinations twenty are down for most of the run.
func TestChaosDownEmbedded(t *testing.T) {
	f := downForm(t)
	dir := filepath.Join(t.TempDir(), "data")
	sc := newScenario(t, f, downSet(), embeddedYAML(dir), "a")
	sc.plan = []func(){sc.inject.kill, sc.inject.kill, sc.inject.restart}
	sc.poison = func() { sc.o.readEmbeddedPoison(t, dir) }
	sc.run(t)
}

// Two to three servers at kfake in this process.
func TestChaosDownKfake(t *testing.T) {
	f := downForm(t)
	f.events = 0
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	downAtKafka(t, f, cluster.ListenAddrs())
}

// Two to three servers at a real Kafka.
func TestChaosDownKafka(t *testing.T) {
	f := downForm(t)
	addrs := os.Getenv("EVENTSERVER_TEST_KAFKA")
	switch {
	case f.name == "long":
		downAtKafka(t, f, startKafka(t).addrs)
	case addrs == "":
		t.Skip("the short form needs EVENTSERVER_TEST_KAFKA; scripts/kafka start 1 prints it")
	default:
		downAtKafka(t, f, strings.Split(addrs, ","))
	}
}

func downAtKafka(t *testing.T, f form, addrs []string) {
	prefix := newPrefix()
	sc := newScenario(t, f, downSet(), kafkaYAML(addrs, prefix, 1), "a", "b", "c")
	sc.joined = 2
	sc.o.causes.lasting = 10 * time.Second // as in group
	sc.plan = []func(){sc.inject.kill, sc.inject.scale, sc.inject.restart, sc.inject.kill, sc.inject.scale}
	sc.poison = func() { sc.o.readPoison(t, addrs, prefix) }
	sc.run(t)
}

// Six destinations are down and 320 events of 0.9 MB wait for each of them: the
// server holds what its memory allows, not what waits. When they are up again
// everything comes, and it still does.
func TestChaosLargeEvents(t *testing.T) {
	chaos(t)
	o := newOracle(t, "refuses0", "refuses1", "refuses2", "answers0", "answers1", "answers2")
	for _, id := range o.names {
		how := refused
		if strings.HasPrefix(id, "answers") {
			how = down503
		}
		o.receivers[id].fail(t, how)
	}
	s := newServer(t, o, "a", setup{bin: harness.Program(t), broker: embeddedYAML(filepath.Join(t.TempDir(), "data")), destinations: ", breaker: {initial: 500ms, max: 1s}"})
	p := s.Start(t)
	c := newClients(t, o, 1, s.Addr)
	const events = 320
	for i := range events {
		c.post(fmt.Sprintf("%s%d", largeUsers, i), 1)
	}
	answered := func() int { return o.count(func() int { return o.answers[down503] }) }
	posted := answered()
	harness.WaitFor(t, time.Minute, "attempts when all is posted", func() bool { return answered() >= posted+20 })
	before := s.memory.most.Load()
	for _, id := range o.names {
		o.receivers[id].fail(t, ok200)
	}
	harness.WaitFor(t, 3*time.Minute, "everything at every destination", func() bool { return o.check.Delivered() >= events*len(o.names) })
	o.settle(t)
	p.Terminate()
	t.Logf("most resident memory: %d MiB while they were down, %d MiB in all", before>>20, s.memory.most.Load()>>20)
}
