package chaos_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/cmd/eventserver/e2e/harness"
)

// brokersApart are the brokers that outlive a killed server.
func brokersApart(t *testing.T) map[string]string {
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

// durableBrokers are the brokers that keep what they have when a server is killed.
func durableBrokers(t *testing.T) map[string]string {
	all := brokersApart(t)
	all["embedded"] = embeddedYAML(filepath.Join(t.TempDir(), "data"))
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

// awaitDeliveries waits until n more events were delivered.
func awaitDeliveries(t *testing.T, o *oracle, n int) {
	t.Helper()
	mark := o.check.Delivered()
	if !harness.WaitFor(t, 30*time.Second, "more deliveries", func() bool { return o.check.Delivered() >= mark+n }) {
		t.FailNow()
	}
}

// A server that is killed at any time and started again has lost nothing that
// it accepted, and every user's events still come in order.
func TestKilledTenTimes(t *testing.T) {
	bin := harness.Program(t)
	for name, broker := range durableBrokers(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			s := newServer(t, o, "a", setup{bin: bin, broker: broker})
			p := s.Start(t)
			c := newClients(t, o, 16, s.Addr)
			c.load()
			for range 10 {
				awaitDeliveries(t, o, 200) // before it is killed
				p.Kill()
				p = s.Start(t)
			}
			c.stop()
			o.settle(t)
			p.Terminate()
			t.Logf("first delivery after a start: median %v, longest %v", percentile(o.firsts, .5), percentile(o.firsts, 1))
			if longest := percentile(o.firsts, 1); longest > 10*time.Second {
				t.Errorf("first delivery %v after a start", longest)
			}
		})
	}
}

var assigned = regexp.MustCompile(`(?m)^eventserver_partitions_assigned\{destination="(\w+)",stage="(\w+)"\} (\d+)$`)

// awaitShared waits until every group has given its four partitions to both servers.
// kfake never expires a member that is killed while its group rebalances: it
// stops the member's session timer and starts it again with an answer, which a
// dead connection does not take (franz-go 1.22, kfake, group.reply). Kafka does.
func awaitShared(t *testing.T, servers ...*server) {
	t.Helper()
	if !harness.WaitFor(t, 30*time.Second, "partitions at both servers", func() bool {
		all, each := map[string]int{}, 0
		for _, s := range servers {
			for _, m := range assigned.FindAllStringSubmatch(scrape(t, s.Addr), -1) {
				n, _ := strconv.Atoi(m[3])
				all[m[1]+m[2]] += n
				if n > 0 {
					each++
				}
			}
		}
		for _, n := range all {
			if n != 4 {
				return false
			}
		}
		return len(all) > 0 && each == len(all)*len(servers)
	}) {
		t.FailNow()
	}
}

// scrape is what a server's /metrics says; "" when it does not answer.
func scrape(t *testing.T, addr string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// Two servers share the partitions; when one is killed the other takes over.
func TestOneOfTwoKilled(t *testing.T) {
	bin := harness.Program(t)
	for name, broker := range brokersApart(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			a := newServer(t, o, "a", setup{bin: bin, broker: broker})
			b := newServer(t, o, "b", setup{bin: bin, broker: broker})
			pa, pb := a.Start(t), b.Start(t)
			c := newClients(t, o, 16, a.Addr, b.Addr)
			c.load()
			awaitDeliveries(t, o, 500)
			awaitShared(t, a, b)
			pb.Kill()
			awaitDeliveries(t, o, 500)
			c.stop()
			o.settle(t)
			pa.Terminate()
		})
	}
}

// Two processes with one instance id would throw each other out of their groups
// for ever: the one that is thrown out says so and stops.
func TestSameInstanceID(t *testing.T) {
	bin := harness.Program(t)
	for name, broker := range brokersApart(t) {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, "one", "two")
			first := newServer(t, o, "same", setup{bin: bin, broker: broker}).Start(t)
			second := newServer(t, o, "same", setup{bin: bin, broker: broker}).Start(t)
			if !first.Ended(30 * time.Second) {
				t.Error("the first goes on beside the second")
			} else if first.Wait() == nil {
				t.Error("the first ended without an error")
			}
			second.Terminate()
		})
	}
}
