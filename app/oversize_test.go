package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/kafka"
	"eventserver/infra/local"
	"eventserver/infra/pubsub"
	"eventserver/router/control"
	"eventserver/router/poison"
	"eventserver/router/record"
)

// picky is a destination that refuses everything until it is mended.
type picky struct{ mended *atomic.Bool }

func (picky) ID() string { return "bad" }

func (picky) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

func (p picky) Deliver(_ context.Context, d destinations.Delivery) error {
	if p.mended.Load() {
		return nil
	}
	return destinations.Permanent(errors.New("no"))
}

// A record that was stored under a larger http.max_event_bytes was tried again for ever
// when it was given up: the poison queue could not take it, and its user waited.
func TestEventsAboveTheLimit(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	dir := filepath.Join(t.TempDir(), "data")
	const limit = 16 << 20
	for name, c := range map[string]struct {
		yaml string
		open func() (infra.Log, error)
	}{
		"embedded": {"{dir: '" + dir + "', partitions: 2}", func() (infra.Log, error) {
			return local.Open(local.Config{Dir: dir, Partitions: 2, MaxRecordBytes: limit})
		}},
		"kafka": {fmt.Sprintf("{kind: kafka, brokers: [%q], partitions: 2}", cluster.ListenAddrs()[0]), func() (infra.Log, error) {
			return kafka.Open(t.Context(), kafka.Config{Brokers: cluster.ListenAddrs(), Partitions: 2, MaxMessageBytes: limit})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := `"` + strings.Repeat("0123456789", 550_000) + `"` // of 5 MiB, with records of 4 MiB at http.max_event_bytes: 1MiB
			l, err := c.open()
			require.NoError(t, err)
			b, err := pubsub.New(l, pubsub.Config{})
			require.NoError(t, err)
			require.NoError(t, b.EnsureTopics(t.Context(), append(record.Topics("bad"), control.Topics()...)...)) // on Kafka a topic keeps its limit
			put := func(topic, id string) {
				require.NoError(t, b.Publisher(infra.Durable).Publish(topic, record.EncodeEvent(destinations.Event{ID: id, Key: "u", Type: "t", ReceivedAt: time.Now(), ContentType: "application/json", Data: []byte(body)})))
			}
			put(record.EventsTopic, "transformed")
			put(record.DestinationTopic("bad"), "delivered")
			require.NoError(t, b.Close())

			mended := &atomic.Bool{}
			o := Options{Stdout: &output{}, Kinds: []Kind{NewKind("picky", func(string, struct{}) (destinations.Destination, error) { return picky{mended}, nil })}}
			parse := func(most string) *config.Config {
				cfg, err := config.Parse("test", []byte("http: {addr: '127.0.0.1:0', max_event_bytes: "+most+"}\nbroker: "+c.yaml+"\ndestinations: [{id: bad, kind: picky}]"), config.Checks{Kinds: o.checks(), Here: true})
				require.NoError(t, err)
				return cfg
			}
			serve := func(cfg *config.Config) (a *App, queues admin.PoisonClient, stop func()) {
				ctx, cancel := context.WithCancel(context.Background())
				a, err := New(ctx, cfg, o)
				require.NoError(t, err)
				ended := make(chan error, 1)
				go func() { ended <- a.Run(ctx) }()
				<-a.Ready()
				return a, admin.PoisonClient{Client: &admin.Client{BaseURL: "http://" + a.AdminAddr()}}, func() { cancel(); require.NoError(t, <-ended) }
			}
			a, queues, stop := serve(parse("1MiB"))
			require.NoError(t, a.Put(t.Context(), destinations.Event{ID: "later", Key: "u", Type: "t", ReceivedAt: time.Now(), ContentType: "application/json", Data: []byte(`{}`)}))
			var list poison.Page
			require.Eventually(t, func() bool {
				list, err = queues.List(t.Context(), poison.Query{Limit: 10})
				return assert.NoError(t, err) && len(list.Items) == 3
			}, 30*time.Second, 20*time.Millisecond)
			stages := map[string]string{}
			for _, item := range list.Items {
				if item.EventID == "later" {
					assert.Empty(t, item.LeftOut)
					continue
				}
				stages[item.EventID] = item.Stage
				assert.Equal(t, []string{"body"}, item.LeftOut)
				assert.Equal(t, len(body), item.Size)
			}
			assert.Equal(t, map[string]string{"transformed": "transform", "delivered": "deliver"}, stages)
			shown := func(p admin.Poison) {
				for id := range stages {
					found, err := p.Show(t.Context(), "bad", id, true)
					require.NoError(t, err)
					assert.Empty(t, found.Records[0].Gone)
					assert.True(t, body == string(found.Records[0].Data), "%s: %d bytes", id, len(found.Records[0].Data))
				}
			}
			shown(queues)
			mended.Store(true)
			redrive := func(p admin.PoisonRuns) poison.Run {
				run, err := p.Begin(t.Context(), poison.Order{Action: "redrive", All: true, Force: true}, "test")
				require.NoError(t, err)
				require.Equal(t, "done", run.State, "%+v", run)
				return run
			}
			run := redrive(queues)
			why := map[string]string{}
			for _, p := range run.Problems {
				why[p.EventID] = p.Why
			}
			assert.Equal(t, 1, run.Redriven)
			assert.Equal(t, "it is larger than the broker takes", why["delivered"])
			assert.Contains(t, why["transformed"], "transform again: transform: its result has 5500")
			stop()
			if name == "embedded" {
				p, err := OpenPoison(t.Context(), parse("1MiB"), o, PoisonLook)
				require.NoError(t, err)
				shown(p)
				require.NoError(t, p.Close())
			}
			_, queues, stop = serve(parse("4MiB"))
			defer stop()
			assert.Equal(t, 2, redrive(queues).Redriven, "with the limit it was accepted under")
		})
	}
}
