package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"eventserver/destinations"
	"eventserver/destinations/destinationtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// kfake's SleepControl can lock its own cluster when that is closed meanwhile.
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*Cluster).continueSleptControl"))
}

const canary = "canary-5ca1ab1e"

func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, "orders")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t *testing.T, cfg Config) *Destination {
	t.Helper()
	if cfg.Topic == "" {
		cfg.Topic = "orders"
	}
	d, err := New("analytics", cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.grace = 100 * time.Millisecond
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func delivery(id, key string) destinations.Delivery {
	return destinations.Delivery{
		ID: id + ":analytics", EventID: id, EventType: "order.placed", Key: key, Destination: "analytics", Attempt: 2,
		Time: time.Unix(1, 5), Sequence: 42, Payload: destinations.Payload{ContentType: "application/json", Body: []byte(`{"a": 1}`)},
	}
}

// consume reads n records of topic orders.
func consume(t *testing.T, c *kfake.Cluster, n int) []*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), destinationtest.Soon)
	defer cancel()
	var out []*kgo.Record
	for len(out) < n {
		f := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records", len(out), n)
		}
		out = append(out, f.Records()...)
	}
	return out
}

// mute accepts connections and never answers.
func mute(t *testing.T, accepted func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			accepted()
			conns = append(conns, conn)
		}
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

func closedAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestConformance(t *testing.T) {
	sasl := SASL{Mechanism: "SCRAM-SHA-256", User: "me", Password: canary}
	c := cluster(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "me", canary))
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T) destinations.Destination {
			return open(t, Config{Brokers: c.ListenAddrs(), SASL: sasl})
		},
		PassThrough: true,
		Stuck: func(t *testing.T, entered chan<- struct{}) destinations.Destination {
			return open(t, Config{Brokers: []string{mute(t, func() {
				select {
				case entered <- struct{}{}:
				default:
				}
			})}, SASL: sasl})
		},
		Broken: map[string]func(*testing.T) destinations.Destination{
			"refused": func(t *testing.T) destinations.Destination {
				return open(t, Config{Brokers: []string{closedAddr(t)}, SASL: sasl})
			},
			"wrong password": func(t *testing.T) destinations.Destination {
				return open(t, Config{Brokers: c.ListenAddrs(), SASL: SASL{Mechanism: "SCRAM-SHA-256", User: "me", Password: "not " + canary}})
			},
			"unknown topic": func(t *testing.T) destinations.Destination {
				return open(t, Config{Brokers: c.ListenAddrs(), SASL: sasl, Topic: "nothing"})
			},
		},
		Canaries: []string{canary},
	})
}

func TestRecord(t *testing.T) {
	c := cluster(t)
	d := open(t, Config{Brokers: c.ListenAddrs()})
	p, err := d.Transform(t.Context(), destinations.Event{Source: "/shop", ContentType: "application/json", Data: []byte(`{"a": 1}`)})
	if err != nil {
		t.Fatal(err)
	}
	del := delivery("e1", "user-1")
	del.Payload = p
	del.Metadata = map[string]string{"traceparent": "00-1-2-01", "tracestate": "foo=1, bar=2", "x-more": "metadata", "ce_id": "forged"}
	del.Payload.Headers["x-more"], del.Payload.Headers["ce_id"] = "yes", "forged"
	if err := d.Deliver(t.Context(), del); err != nil {
		t.Fatal(err)
	}
	bare := destinations.Delivery{ID: "e2:analytics", EventID: "e2", Key: "user-1", Attempt: 1, Sequence: -1}
	if err := d.Deliver(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	recs := consume(t, c, 2)
	r := recs[0]
	if string(r.Key) != "user-1" || string(r.Value) != `{"a": 1}` {
		t.Errorf("%s: %s", r.Key, r.Value)
	}
	if got := fmt.Sprintf("%s", headers(r)); got != "[ce_id=e1 ce_type=order.placed ce_time=1970-01-01T00:00:01.000000005Z content-type=application/json "+
		"es_delivery_id=e1:analytics es_attempt=2 es_sequence=42 ce_source=/shop ce_specversion=1.0 x-more=yes traceparent=00-1-2-01 tracestate=foo=1, bar=2]" {
		t.Error(got)
	}
	if got := fmt.Sprintf("%s", headers(recs[1])); got != "[ce_id=e2 es_delivery_id=e2:analytics es_attempt=1]" {
		t.Error(got)
	}
}

// A payload without data is a null value: where the topic is compacted, that is
// how a key is deleted.
func TestNullPayloadIsATombstone(t *testing.T) {
	c := cluster(t)
	d := open(t, Config{Brokers: c.ListenAddrs()})
	payloads := []struct {
		destinations.Payload
		null bool
	}{
		{destinations.Payload{}, true},
		{destinations.Payload{Body: []byte{}, ContentType: "text/plain"}, true},
		{destinations.Payload{Body: []byte("null"), ContentType: "application/json"}, true},
		{destinations.Payload{Body: []byte("\tnull "), ContentType: "application/json; charset=utf-8"}, true},
		{destinations.Payload{Body: []byte("null"), ContentType: "text/plain"}, false},
		{destinations.Payload{Body: []byte(`"null"`), ContentType: "application/json"}, false},
		{destinations.Payload{Body: []byte(`{}`), ContentType: "application/json"}, false},
	}
	for i, p := range payloads {
		del := delivery(fmt.Sprint("e", i), "user-1")
		del.Payload = p.Payload
		if err := d.Deliver(t.Context(), del); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range consume(t, c, len(payloads)) {
		if got := r.Value == nil; got != payloads[i].null || string(r.Key) != "user-1" || !got && string(r.Value) != string(payloads[i].Body) {
			t.Errorf("%q became %q, null: %t", payloads[i].Body, r.Value, got)
		}
	}
}

func headers(r *kgo.Record) (out []string) {
	for _, h := range r.Headers {
		out = append(out, h.Key+"="+string(h.Value))
	}
	return out
}

// Keys go where the Java client and franz-go put them, which a Kafka client in another language may look for.
func TestPlacement(t *testing.T) {
	c := cluster(t)
	d := open(t, Config{Brokers: c.ListenAddrs()})
	for i := range 20 {
		if err := d.Deliver(t.Context(), delivery("e", fmt.Sprint("user-", i))); err != nil {
			t.Fatal(err)
		}
	}
	place := kgo.StickyKeyPartitioner(nil).ForTopic("orders")
	for _, r := range consume(t, c, 20) {
		if want := place.Partition(&kgo.Record{Key: r.Key}, 4); int(r.Partition) != want {
			t.Errorf("%s is in %d, want %d", r.Key, r.Partition, want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		err  *kerr.Error
		want string
	}{
		{kerr.MessageTooLarge, "permanent"},
		{kerr.RecordListTooLarge, "permanent"},
		{kerr.InvalidRecord, "permanent"},
		{kerr.CorruptMessage, "retry"},
		{kerr.InvalidTimestamp, "unavailable"},
		{kerr.InvalidTopicException, "unavailable"},
		{kerr.PolicyViolation, "unavailable"},
		{kerr.TopicAuthorizationFailed, "unavailable"},
		{kerr.NotEnoughReplicas, "unavailable"},
		{kerr.UnknownServerError, "unavailable"},
	} {
		t.Run(c.err.Message, func(t *testing.T) {
			k := cluster(t)
			d := open(t, Config{Brokers: k.ListenAddrs()})
			fault := k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: c.err, Count: -1})
			err := d.Deliver(t.Context(), delivery("e1", "user-1"))
			if got := destinationtest.Verdict(err); got != c.want {
				t.Errorf("%s, want %s: %v", got, c.want, err)
			}
			fault.Remove()
			if err := d.Deliver(t.Context(), delivery("e2", "user-1")); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

func TestTooLargeIsPermanentWithoutSending(t *testing.T) {
	d := open(t, Config{Brokers: []string{closedAddr(t)}, MaxMessageBytes: 200})
	err := d.Deliver(t.Context(), delivery("e1", string(make([]byte, 200))))
	if got := destinationtest.Verdict(err); got != "permanent" {
		t.Errorf("%s: %v", got, err)
	}
}

func TestClusterThatComesLater(t *testing.T) {
	addr := closedAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	d := open(t, Config{Brokers: []string{"127.0.0.1:" + port}})
	err := d.Deliver(t.Context(), delivery("e1", "user-1"))
	if got := destinationtest.Verdict(err); got != "unavailable" {
		t.Errorf("%s: %v", got, err)
	}
	if strings.Count(err.Error(), "kafka: ") != 1 {
		t.Errorf("%v: it says kafka twice", err)
	}
	var p int
	if _, err := fmt.Sscan(port, &p); err != nil {
		t.Fatal(err)
	}
	cluster(t, kfake.Ports(p))
	if err := d.Deliver(t.Context(), delivery("e1", "user-1")); err != nil {
		t.Error(err)
	}
}

// A thousand deliveries that wait for one cluster wait together, not in line.
func TestConnectingIsShared(t *testing.T) {
	var dials atomic.Int32
	d := open(t, Config{Brokers: []string{mute(t, func() { dials.Add(1) })}})
	d.patience = 50 * time.Millisecond
	results := make(chan error, 100)
	for i := range cap(results) {
		go func() { results <- d.Deliver(t.Context(), delivery("e", fmt.Sprint(i))) }()
	}
	for range cap(results) {
		if got := destinationtest.Verdict(<-results); got != "unavailable" {
			t.Error(got)
		}
	}
	if n := dials.Load(); n > 50 {
		t.Errorf("%d connections", n)
	}
}

// An attempt that timed out left its record with the client library. The next
// attempt, and the next event of the key, must not overtake it.
func TestTimedOutSendKeepsTheKeysOrder(t *testing.T) {
	c := cluster(t)
	d := open(t, Config{Brokers: c.ListenAddrs()})
	if err := d.Deliver(t.Context(), delivery("e0", "user-1")); err != nil {
		t.Fatal(err)
	}
	arrived, goOn := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if held.CompareAndSwap(false, true) {
			c.SleepControl(func() {
				close(arrived)
				<-goOn
			})
		}
		return nil, nil, false // handled as usual
	})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() { first <- d.Deliver(ctx, delivery("e1", "user-1")) }()
	<-arrived
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("first attempt: %v", err)
	}
	// The key is taken until the send ends, and a Deliver that waits for it
	// honours its own context.
	short, cancelShort := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancelShort()
	if got := destinationtest.Verdict(d.Deliver(short, delivery("e1", "user-1"))); got != "unavailable" {
		t.Error(got)
	}
	d.mu.Lock()
	_, busy := d.sends["user-1"]
	d.mu.Unlock()
	if !busy {
		t.Error("the key is free while its record is on the way")
	}
	second := make(chan error)
	go func() { second <- d.Deliver(t.Context(), delivery("e1", "user-1")) }()
	close(goOn)
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	if err := d.Deliver(t.Context(), delivery("e2", "user-1")); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range consume(t, c, 4) {
		ids = append(ids, headers(r)[0])
	}
	if got := fmt.Sprint(ids); got != "[ce_id=e0 ce_id=e1 ce_id=e1 ce_id=e2]" {
		t.Error(got)
	}
}

// Close ends in its grace even when the cluster hangs with records in it.
func TestCloseWithAHungCluster(t *testing.T) {
	c := cluster(t)
	d := open(t, Config{Brokers: c.ListenAddrs()})
	arrived, goOn := make(chan struct{}), make(chan struct{})
	defer close(goOn)
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		c.SleepControl(func() {
			select {
			case arrived <- struct{}{}:
			case <-goOn:
			}
			<-goOn
		})
		return nil, nil, false
	})
	result := make(chan error)
	go func() { result <- d.Deliver(t.Context(), delivery("e1", "user-1")) }()
	<-arrived
	began := time.Now()
	_ = d.Close()
	if got := destinationtest.Verdict(<-result); got != "unavailable" {
		t.Error(got)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Close took %s", took)
	}
	if err := d.Deliver(t.Context(), delivery("e1", "user-1")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil) // for its certificate
	s.StartTLS()
	s.Close()
	c := cluster(t, kfake.TLS(&tls.Config{Certificates: s.TLS.Certificates}))
	ok := open(t, Config{Brokers: c.ListenAddrs(), TLS: TLS{Enabled: true, ServerName: "example.com", CAFile: writeCA(t, s)}})
	if err := ok.Deliver(t.Context(), delivery("e1", "user-1")); err != nil {
		t.Error(err)
	}
	unknown := open(t, Config{Brokers: c.ListenAddrs(), TLS: TLS{Enabled: true}})
	if got := destinationtest.Verdict(unknown.Deliver(t.Context(), delivery("e1", "user-1"))); got != "unavailable" {
		t.Error(got)
	}
}

// Settings without which records are lost, repeated or make topics of their own.
func TestRequests(t *testing.T) {
	c := cluster(t)
	d := open(t, Config{Brokers: c.ListenAddrs()})
	var acks atomic.Int32
	var producer atomic.Int64
	var creates atomic.Bool
	c.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		switch r := req.(type) {
		case *kmsg.ProduceRequest:
			acks.Store(int32(r.Acks))
			producer.Store(int64(binary.BigEndian.Uint64(r.Topics[0].Partitions[0].Records[43:51])))
		case *kmsg.MetadataRequest:
			if r.AllowAutoTopicCreation {
				creates.Store(true)
			}
		}
		return nil, nil, false
	})
	producer.Store(-1)
	if err := d.Deliver(t.Context(), delivery("e1", "user-1")); err != nil {
		t.Fatal(err)
	}
	if acks.Load() != -1 || producer.Load() < 0 || creates.Load() {
		t.Errorf("acks %d, producer %d, makes topics: %t", acks.Load(), producer.Load(), creates.Load())
	}
}
