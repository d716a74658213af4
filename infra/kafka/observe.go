package kafka

import (
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Names of a process's clients, for an Observer.
const (
	ClientWork   = "work"   // produces, reads behind the live end, commits, asks
	ClientLive   = "live"   // waits at the live ends
	ClientOwners = "owners" // is a member of the group of owners
)

// Observer observes the traffic between this process and the cluster, for metrics. Many
// goroutines call its methods, which must not wait.
type Observer interface {
	// Connected is called after a connection attempt. err: it failed.
	Connected(client string, err error)
	Disconnected(client string)
	// Answered is called after a request, such as "Produce", with the sizes of the
	// request and of its answer. err: there was no answer.
	Answered(client, request string, sent, received int, took time.Duration, err error)
	// Throttled is called after a wait because of the cluster's quotas.
	Throttled(client string, d time.Duration)
	// Rebalanced is called when this process got or lost shards.
	Rebalanced()
}

// noObserver is the Observer of those who want none.
type noObserver struct{}

func (noObserver) Connected(string, error)                                 {}
func (noObserver) Disconnected(string)                                     {}
func (noObserver) Answered(string, string, int, int, time.Duration, error) {}
func (noObserver) Throttled(string, time.Duration)                         {}
func (noObserver) Rebalanced()                                             {}

// clientHooks are a client's hooks. They call the Observer.
type clientHooks struct {
	client string
	to     Observer
}

var (
	_ kgo.HookBrokerConnect    = clientHooks{}
	_ kgo.HookBrokerDisconnect = clientHooks{}
	_ kgo.HookBrokerE2E        = clientHooks{}
	_ kgo.HookBrokerThrottle   = clientHooks{}
)

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (o clientHooks) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	o.to.Connected(o.client, err)
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect.
func (o clientHooks) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { o.to.Disconnected(o.client) }

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (o clientHooks) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	o.to.Answered(o.client, kmsg.NameForKey(key), e2e.BytesWritten, e2e.BytesRead, e2e.DurationE2E(), e2e.Err())
}

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (o clientHooks) OnBrokerThrottle(_ kgo.BrokerMetadata, d time.Duration, _ bool) {
	o.to.Throttled(o.client, d)
}
