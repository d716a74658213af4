package gameday_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/cmd/eventserver/e2e/harness"
)

// flakyKafka is a Kafka of one broker that can be down.
type flakyKafka struct {
	addr        string
	down        atomic.Bool // it accepts no connection
	connections harness.Connections
}

// downListener is a broker's: while it is down it hangs up on everybody.
type downListener struct {
	harness.Listener
	down *atomic.Bool
}

func (l downListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || !l.down.Load() {
			return c, err
		}
		_ = c.Close()
	}
}

func newFlakyKafka(t *testing.T) *flakyKafka {
	t.Helper()
	k := &flakyKafka{}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
			return downListener{harness.Listener{Listener: l, Connections: &k.connections}, &k.down}, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	k.addr = cluster.ListenAddrs()[0]
	return k
}
