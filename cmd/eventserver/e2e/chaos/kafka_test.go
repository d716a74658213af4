package chaos_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// kafkaCluster is a real Kafka of three brokers, by scripts/kafka.
type kafkaCluster struct {
	t     *testing.T
	addrs []string
	busy  sync.WaitGroup // a broker is down
	mu    sync.Mutex
	down  bool
}

// startKafka starts three brokers on KAFKA_PORT (29092 by default) and deletes
// them when the test ends.
func startKafka(t *testing.T) *kafkaCluster {
	t.Helper()
	k := &kafkaCluster{t: t}
	// The controller forgets a dead broker after 3 s instead of 9, so that more
	// kills fit into the run.
	out, err := k.script("start", "3")
	if err != nil {
		t.Fatalf("scripts/kafka start 3: %v", err)
	}
	t.Cleanup(func() { k.busy.Wait(); _, _ = k.script("stop") })
	k.addrs = strings.Split(out, ",")
	return k
}

func (k *kafkaCluster) script(args ...string) (string, error) {
	port := os.Getenv("KAFKA_PORT")
	if port == "" {
		port = "29092"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.File(k.t, "scripts/kafka"), args...)
	cmd.Env = append(os.Environ(), "KAFKA_PORT="+port, "KAFKA_PROPERTIES=broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=1000")
	cmd.WaitDelay = time.Second
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	k.t.Logf("scripts/kafka %s: %s", strings.Join(args, " "), strings.TrimSpace(errs.String()))
	return strings.TrimSpace(string(out)), err
}

// kill kills broker n with -9 and restarts it 5 s later; false when another is
// still down, because two of three must live.
func (k *kafkaCluster) kill(n int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return false
	}
	k.down = true
	if _, err := k.script("kill", strconv.Itoa(n)); err != nil {
		k.t.Errorf("kill of broker %d: %v", n, err)
	}
	k.busy.Go(func() {
		<-time.After(5 * time.Second) // how long the fault lasts
		if _, err := k.script("restart", strconv.Itoa(n)); err != nil {
			k.t.Errorf("restart of broker %d: %v", n, err)
			return // no other is killed: two of three must live
		}
		<-time.After(5 * time.Second) // until it has caught up and is in sync again
		k.mu.Lock()
		k.down = false
		k.mu.Unlock()
	})
	return true
}

// awaitRepair waits until every broker runs.
func (k *kafkaCluster) awaitRepair() { k.busy.Wait() }
