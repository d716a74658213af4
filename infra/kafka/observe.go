package kafka

import (
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The clients of a process, as an Observer knows them.
const (
	ClientWork   = "work"   // produces, reads what is behind the live end, commits, asks
	ClientLive   = "live"   // waits at the live ends
	ClientOwners = "owners" // is a member of the group of owners
)

// Observer is told of what goes on between this process and the cluster. Its methods
// are called by many goroutines and must not wait.
type Observer interface {
	// Connected is told of a connection that was made, or of why it was not.
	Connected(client string, err error)
	Disconnected(client string)
	// Answered is told of a request, such as "Produce", with the bytes of it and its
	// answer; err: there was none.
	Answered(client, request string, sent, received int, took time.Duration, err error)
	// Throttled is told of what a quota of the cluster had the client wait.
	Throttled(client string, d time.Duration)
	// Rebalanced is told when shards were given to this process, or taken from it.
	Rebalanced()
}

// unobserved is the Observer of those who want none.
type unobserved struct{}

func (unobserved) Connected(string, error)                                 {}
func (unobserved) Disconnected(string)                                     {}
func (unobserved) Answered(string, string, int, int, time.Duration, error) {}
func (unobserved) Throttled(string, time.Duration)                         {}
func (unobserved) Rebalanced()                                             {}

// observed are a client's hooks, which tell the Observer.
type observed struct {
	client string
	to     Observer
}

var (
	_ kgo.HookBrokerConnect    = observed{}
	_ kgo.HookBrokerDisconnect = observed{}
	_ kgo.HookBrokerE2E        = observed{}
	_ kgo.HookBrokerThrottle   = observed{}
)

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (o observed) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	o.to.Connected(o.client, err)
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect.
func (o observed) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { o.to.Disconnected(o.client) }

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (o observed) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	o.to.Answered(o.client, kmsg.NameForKey(key), e2e.BytesWritten, e2e.BytesRead, e2e.DurationE2E(), e2e.Err())
}

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (o observed) OnBrokerThrottle(_ kgo.BrokerMetadata, d time.Duration, _ bool) {
	o.to.Throttled(o.client, d)
}
