package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// clusters are the brokers that outlive a killed server.
func clusters(t *testing.T) map[string]string {
	kf, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kf.Close)
	all := map[string]string{"kfake": kafkaYAML(kf.ListenAddrs(), newPrefix(), 1)}
	if addrs := os.Getenv("EVENTSERVER_TEST_KAFKA"); addrs != "" {
		all["kafka"] = kafkaYAML(strings.Split(addrs, ","), newPrefix(), 1)
	}
	return all
}

// newPrefix keeps the topics of one test apart from those of others.
func newPrefix() string { return fmt.Sprintf("t%d.", time.Now().UnixNano()) }

func kafkaYAML(addrs []string, prefix string, replication int) string {
	list, _ := json.Marshal(addrs)
	return fmt.Sprintf(`{kind: kafka, brokers: %s, topic_prefix: %q, instance_id: INSTANCE, session_timeout: 6s, partitions: 4, replication: %d}`,
		list, prefix, replication)
}

func embeddedYAML(dir string) string {
	return fmt.Sprintf("{kind: embedded, dir: %q, partitions: 4}", dir)
}

// works waits until n more events were delivered.
func works(t *testing.T, o *oracle, n int) {
	t.Helper()
	mark := o.check.Delivered()
	if !waitFor(t, 30*time.Second, "more deliveries", func() bool { return o.check.Delivered() >= mark+n }) {
		t.FailNow()
	}
}

// A server that is killed at any time and started again has lost nothing that
// it accepted, and every user's events still come in order.
func TestKilledTenTimes(t *testing.T) {
	bin := binary(t)
	all := clusters(t)
	all["embedded"] = embeddedYAML(filepath.Join(t.TempDir(), "data"))
	for name, broker := range all {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			s := newServer(t, o, "a", setup{bin: bin, broker: broker})
			p := s.start(t)
			c := newClients(t, o, 16, s.addr)
			c.load()
			for range 10 {
				works(t, o, 200) // before it is killed
				p.kill()
				p = s.start(t)
			}
			c.stop()
			o.settle(t)
			p.terminate()
			t.Logf("first delivery after a start: median %v, longest %v", percentile(o.firsts, .5), percentile(o.firsts, 1))
			if longest := percentile(o.firsts, 1); longest > 10*time.Second {
				t.Errorf("first delivery %v after a start", longest)
			}
		})
	}
}

// Two servers share the partitions; when one is killed the other takes over.
func TestOneOfTwoKilled(t *testing.T) {
	bin := binary(t)
	for name, broker := range clusters(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			a := newServer(t, o, "a", setup{bin: bin, broker: broker})
			b := newServer(t, o, "b", setup{bin: bin, broker: broker})
			pa, pb := a.start(t), b.start(t)
			c := newClients(t, o, 16, a.addr, b.addr)
			c.load()
			works(t, o, 500)
			pb.kill()
			works(t, o, 500)
			c.stop()
			o.settle(t)
			pa.terminate()
		})
	}
}

// Two processes with one instance id would throw each other out of their groups
// for ever: the one that is thrown out says so and stops.
func TestSameInstanceID(t *testing.T) {
	bin := binary(t)
	for name, broker := range clusters(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			first := newServer(t, o, "same", setup{bin: bin, broker: broker}).start(t)
			second := newServer(t, o, "same", setup{bin: bin, broker: broker}).start(t)
			select {
			case err := <-first.done:
				first.done <- err
				if err == nil {
					t.Error("the first ended without an error")
				}
			case <-time.After(30 * time.Second):
				t.Error("the first goes on beside the second")
			}
			second.terminate()
		})
	}
}
