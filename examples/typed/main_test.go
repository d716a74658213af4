package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

// await waits until the output has a text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.After(30 * time.Second); !strings.Contains(o.String(), text); {
		select {
		case <-deadline:
			t.Fatalf("%q did not come; there is:\n%s", text, o.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// started runs the program as its user does, in a directory of its own, until
// the test ends.
func started(t *testing.T, handleOnly bool, dir string) *output {
	t.Helper()
	out := &output{}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, handleOnly, dir, out) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return out
}

// copied is a directory with the program's configuration, changed for a test.
func copied(t *testing.T, changes ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"eventserver.yaml", "consumer.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s := strings.NewReplacer(append(changes, "./data/typed", filepath.Join(dir, "data"), "./examples/typed/schemas", "./schemas", "127.0.0.1:8080", "127.0.0.1:0")...).Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestProgram(t *testing.T) {
	server := started(t, false, copied(t))
	server.await(t, "ada has paid 1250 EUR in all\n")
	server.await(t, "ada has paid 1750 EUR in all\n")
	server.await(t, "ada has paid 1849 EUR in all\n")
	server.await(t, "not stored: payment.received v1: /amount: minimum: must be >= 1 but is -5")
}

func TestProgramsOnACluster(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	at := cluster.ListenAddrs()[0]
	dir := copied(t, "{kind: embedded, dir: ./data/typed}", "{kind: kafka, brokers: ["+at+"]}", "127.0.0.1:9092", at)
	server := started(t, false, dir)
	server.await(t, "ada has paid 1849 EUR in all\n")
	mailer := started(t, true, dir) // it has all from the beginning, in its own groups
	mailer.await(t, "ada has paid 1849 EUR in all\n")
}
