package poison

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router/record"
)

// putPartial stores an event on a topic and a poison record of it without its body.
func (w *world) putPartial(topic, stage, id string) (source record.Source) {
	body := fmt.Appendf(nil, `{"id":%q}`, id)
	m := record.EncodeEvent(destinations.Event{ID: id, Key: id, Type: "order.placed", ReceivedAt: w.now(), ContentType: "application/json", Data: body})
	m.Metadata["es_sequence"], m.Metadata["es_header_X-A"] = "41", "a"
	if topic == record.EventsTopic {
		delete(m.Metadata, "es_sequence")
	}
	require.NoError(w.t, w.broker.Publisher(infra.Durable).Publish(topic, m))
	for _, stored := range w.all(topic) {
		if record.EventID(stored) == id {
			source = record.Source{Topic: topic, At: record.PositionOf(stored)}
		}
	}
	sum := sha256.Sum256(body)
	p := message.NewMessage(id, nil)
	for k, v := range m.Metadata {
		p.Metadata[k] = v
	}
	for k, v := range map[string]string{"es_sequence": "41", "es_poison_stage": stage, "es_poison_reason": "attempts", "es_poison_left_out": "body",
		"es_poison_source": source.String(), "es_poison_size": fmt.Sprint(len(body)), "es_poison_sum": hex.EncodeToString(sum[:])} {
		p.Metadata[k] = v
	}
	require.NoError(w.t, w.broker.Publisher(infra.Durable).Publish("poison.d", p))
	return source
}

// What the poison queue had no room for is shown and redriven from where it was, while
// that is there, and an item whose body is gone stays and says why.
func TestBodyFromTheSource(t *testing.T) {
	t.Parallel()
	for stage, topic := range map[string]string{"transform": record.EventsTopic, "deliver": record.DestinationTopic("d")} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.service(nil)
			defer s.Close()
			source := w.putPartial(topic, stage, "e1")
			page, err := s.List(t.Context(), Query{})
			require.NoError(t, err)
			require.Len(t, page.Items, 1)
			assert.Equal(t, []string{"body"}, page.Items[0].LeftOut)
			assert.Equal(t, source.String(), page.Items[0].Source)
			assert.Equal(t, len(`{"id":"e1"}`), page.Items[0].Size)
			for _, payload := range []bool{true, false} {
				found, err := s.Show(t.Context(), "d", "e1", payload)
				require.NoError(t, err)
				r := found.Records[0]
				assert.Empty(t, r.Gone)
				assert.Equal(t, []string{"body"}, r.LeftOut)
				if payload {
					assert.JSONEq(t, `{"id":"e1"}`, string(r.Data))
				} else {
					assert.Empty(t, r.Data)
				}
				assert.Empty(t, r.DataBase64)
			}
			before := len(w.all("dest.d"))
			run := redrive(t, s, Order{})
			assert.Equal(t, 1, run.Redriven, "%+v", run)
			sent := w.all("dest.d")
			require.Len(t, sent, before+1)
			d, err := record.DecodeDelivery("d", sent[before])
			require.NoError(t, err)
			assert.JSONEq(t, `{"id":"e1"}`, string(d.Payload.Body))
			assert.Equal(t, 1, d.Redrives)
			assert.EqualValues(t, 41, d.Sequence)
			assert.Empty(t, w.waiting(s))
		})
	}
}

func TestBodyThatIsGone(t *testing.T) {
	t.Parallel()
	for why, lose := range map[string]func(w *world, topic string){
		"the topic was deleted": func(w *world, topic string) {
			require.NoError(w.t, w.broker.DeleteTopics(context.Background(), topic))
		},
		"the topic was made anew": func(w *world, topic string) {
			require.NoError(w.t, w.broker.DeleteTopics(context.Background(), topic))
			require.NoError(w.t, w.broker.EnsureTopics(context.Background(), infra.Topic{Name: topic}))
		},
		"it holds another record there now": func(w *world, topic string) {
			require.NoError(w.t, w.broker.DeleteTopics(context.Background(), topic))
			require.NoError(w.t, w.broker.EnsureTopics(context.Background(), infra.Topic{Name: topic}))
			m := record.EncodeEvent(destinations.Event{ID: "other", Key: "e1", ReceivedAt: time.Now(), Data: []byte(`{"id":"e1"}`)})
			require.NoError(w.t, w.broker.Publisher(infra.Durable).Publish(topic, m))
		},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.service(nil)
			defer s.Close()
			source := w.putPartial("dest.d", "deliver", "e1")
			lose(w, "dest.d")
			found, err := s.Show(t.Context(), "d", "e1", true)
			require.NoError(t, err)
			r := found.Records[0]
			assert.Equal(t, why, r.Gone)
			assert.Empty(t, r.Data)
			assert.Empty(t, r.DataBase64)
			require.NoError(t, w.broker.EnsureTopics(t.Context(), record.Topics("d")...))
			if why == "the topic was deleted" { // there it is made again by now
				why = "the topic was made anew"
			}
			run := redrive(t, s, Order{})
			assert.Equal(t, 1, run.Failed)
			require.Len(t, run.Problems, 1)
			assert.Equal(t, "the poison queue had no room for its body of 11 bytes, and topic "+source.String()+" does not have it any more: "+why+"; it cannot be redriven", run.Problems[0].Why)
			assert.Equal(t, []string{"e1"}, w.waiting(s), "it stays until somebody discards it")
		})
	}
}
