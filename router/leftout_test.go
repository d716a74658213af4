package router

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// limitPub refuses what is larger than limit, as the publisher of a broker does.
type limitPub struct {
	*fakePub

	limit int
}

func (p *limitPub) Publish(topic string, msgs ...*message.Message) error {
	for _, m := range msgs {
		if size := sizeOf(m); size > p.limit {
			return fmt.Errorf("publish to %s: %w: %d bytes", topic, infra.ErrTooLarge, size)
		}
	}
	return p.fakePub.Publish(topic, msgs...)
}

func sizeOf(m *message.Message) int {
	size := len(m.UUID) + len(m.Payload)
	for k, v := range m.Metadata {
		size += len(k) + len(v)
	}
	return size
}

type limitBroker struct {
	*fakeBroker

	pub *limitPub
}

func (b *limitBroker) Publisher(infra.Durability) message.Publisher { return b.pub }
func (b *limitBroker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	sub, err := b.fakeBroker.Subscriber(group, cfg)
	if runs, is := sub.(*runSub); is {
		runs.pub = b.pub
	}
	return sub, err
}

// newLimitRig is newRig on a broker that takes records up to limit bytes.
func newLimitRig(t *testing.T, limit int, d Destination) *rig {
	t.Helper()
	r := &rig{T: t, broker: &fakeBroker{pub: &fakePub{}, subs: map[string]*routertest.ChanSub{}}, registry: prometheus.NewRegistry()}
	m, err := metrics.New(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	if r.pipeline, err = New(Config{Broker: &limitBroker{r.broker, &limitPub{r.broker.pub, limit}}, MaxPayloadBytes: limit, Destinations: []Destination{d}, Metrics: m}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.pipeline.Run(context.Background()) }()
	if err := r.pipeline.Running(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.pipeline.Drain(context.Background()), r.pipeline.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return r
}

// stands is a record as a subscriber of a topic hands it out.
func stands(m *message.Message, topic string, partition, offset int) *message.Message {
	m = routertest.Received(m)
	m.Metadata[infra.MetaTopic], m.Metadata[infra.MetaPartition], m.Metadata[infra.MetaOffset] = topic, fmt.Sprint(partition), fmt.Sprint(offset)
	return m
}

// What is too large for the poison queue was tried again for ever, and its user waited
// for ever: an event stored under a larger http.max_event_bytes, or one that another
// program wrote.
func TestTooLargeForThePoisonQueue(t *testing.T) {
	const limit = 64 << 10
	body := []byte(`"` + strings.Repeat("x", limit) + `"`)
	event := destinations.Event{ID: "big", Key: "u", Type: "t", ReceivedAt: time.Now(), Data: body, Metadata: map[string]string{"m": "1"}}
	for _, c := range []struct {
		stage  string
		group  string
		source *message.Message
	}{
		{record.StageTransform, record.TransformGroup("d"), stands(record.EncodeEvent(event), record.EventsTopic, 3, 17)},
		{record.StageDeliver, record.DeliverGroup("d"), stands(record.EncodeDelivery(event, destinations.Payload{Body: body, Headers: map[string]string{"h": "2"}}, 41), record.DestinationTopic("d"), 3, 17)},
	} {
		t.Run(c.stage, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				p := newPlan("d", destinations.Permanent(routertest.ErrPlain))
				r := newLimitRig(t, limit, Destination{Destination: p})
				big := stands(c.source, c.source.Metadata[infra.MetaTopic], 3, 17)
				r.broker.subs[c.group].Ch <- big
				routertest.Elapse(time.Second)
				routertest.WantVerdict(t, big, "acked")
				routertest.WantVerdict(t, r.deliver("d", "u", "next")[0], "acked")
				recs := r.broker.pub.of(record.PoisonTopic("d"))
				if len(recs) != 2 {
					t.Fatalf("%d in the poison queue, want 2", len(recs))
				}
				g := record.DecodePoison("d", recs[0])
				if g.EventID != "big" || g.Key != "u" || g.Stage != c.stage || fmt.Sprint(g.LeftOut) != "[body]" || len(g.Body) != 0 || g.Size != len(body) ||
					g.Source.String() != c.source.Metadata[infra.MetaTopic]+"/3:17" || recs[0].Metadata["es_meta_m"] != "1" {
					t.Errorf("%+v", g)
				}
				whole, err := record.Whole(recs[0], c.source)
				if err != nil || string(whole.Payload) != string(body) {
					t.Fatalf("%v", err)
				}
				want := attempt.GiveUpNow("", routertest.ErrPlain).PoisonRecord(c.source, c.stage).Metadata
				for k, v := range whole.Metadata {
					if !strings.HasPrefix(k, "es_poison_") && want[k] != v {
						t.Errorf("%s: %q, want %q", k, v, want[k])
					}
				}
				other := stands(c.source, c.source.Metadata[infra.MetaTopic], 3, 17)
				other.Payload = []byte("x")
				if _, err := record.Whole(recs[0], other); !errors.Is(err, record.ErrOther) {
					t.Errorf("another record at its place: %v", err)
				}
			})
		})
	}
}

// Whatever makes a record large, something of it is stored: parts are left out in a
// fixed order.
func TestPartsThatAreLeftOut(t *testing.T) {
	const limit = 8 << 10
	large := strings.Repeat("x", 2*limit)
	for _, c := range []struct {
		name, value string
		want        string
	}{
		{"es_header_" + "h", large, "[body headers]"},
		{"theirs", large, "[body headers other]"},
		{"ce_theirs", large, "[body headers other]"},
		{"es_meta_" + "m", large, "[body headers other context]"},
		{"es_meta_" + large, "", "[body headers other context]"},
		{infra.MetaKey, large, "[body headers other context long]"},
		{record.HeaderID, large, "[body headers other context long]"},
	} {
		routertest.Run(t, func(t *testing.T) {
			r := newLimitRig(t, limit, Destination{Destination: newPlan("d", destinations.Permanent(routertest.ErrPlain))})
			m := stands(routertest.Delivery("u", "e1"), record.DestinationTopic("d"), 0, 1)
			m.Metadata["es_header_"+"small"], m.Metadata["other"], m.Metadata["es_meta_"+"small"] = "1", "1", "1"
			m.Metadata[c.name] = c.value
			if c.name == record.HeaderID {
				m.UUID = large
			}
			source := maps.Clone(m.Metadata)
			r.broker.subs[record.DeliverGroup("d")].Ch <- m
			routertest.Elapse(time.Minute)
			routertest.WantVerdict(t, m, "acked")
			recs := r.broker.pub.of(record.PoisonTopic("d"))
			if len(recs) != 1 {
				t.Fatalf("%.20s: %d in the poison queue, want 1", c.name, len(recs))
			}
			if g := record.DecodePoison("d", recs[0]); fmt.Sprint(g.LeftOut) != c.want || g.Stage != record.StageDeliver || g.Reason != metrics.ReasonPermanent {
				t.Errorf("%.20s: %+v, want %s left out", c.name, g, c.want)
			}
			m.Metadata = source
			whole, err := record.Whole(recs[0], m)
			if err != nil || whole.Metadata[c.name] != c.value || string(whole.Payload) != string(m.Payload) {
				t.Errorf("%.20s: its source does not make it whole: %v", c.name, err)
			}
		})
	}
}

// A broker that takes nothing of a record keeps its user waiting, and nothing is lost.
func TestNothingMoreToLeaveOut(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r := newLimitRig(t, 10, Destination{Destination: newPlan("d", destinations.Permanent(routertest.ErrPlain))})
		m := r.deliver("d", "u", "e1")[0]
		routertest.Elapse(time.Minute)
		routertest.WantVerdict(t, m, "")
	})
}
