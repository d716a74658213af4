package main_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// deafKafka is a Kafka of one broker that can go away.
type deafKafka struct {
	addr  string
	deaf  atomic.Bool // it accepts no connection
	wires wires
}

// deafListener is a broker's: while deaf it hangs up on everybody.
type deafListener struct {
	cutListener
	deaf *atomic.Bool
}

func (l deafListener) Accept() (net.Conn, error) {
	for {
		c, err := l.cutListener.Accept()
		if err != nil || !l.deaf.Load() {
			return c, err
		}
		_ = c.Close()
	}
}

func newDeafKafka(t *testing.T) *deafKafka {
	t.Helper()
	k := &deafKafka{}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
			return deafListener{cutListener{l, &k.wires}, &k.deaf}, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	k.addr = cluster.ListenAddrs()[0]
	return k
}
