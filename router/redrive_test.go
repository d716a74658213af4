package router_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router"
	"eventserver/router/record"
)

// poisonRecord is what a poison queue has of one event.
func poisonRecord(stage string) *message.Message {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	m := record.EncodeEvent(destinations.Event{ID: "e1", Type: "order.placed", Source: "shop", Key: "ada", Time: at, ReceivedAt: at,
		ContentType: "application/json", Metadata: map[string]string{"traceparent": "00-1"}, Data: []byte(`{"n": 1}`)})
	for k, v := range map[string]string{"es_sequence": "41", "es_header_X-A": "a", "es_poison_stage": stage, "es_poison_reason": "attempts",
		"es_poison_detail": "no", "es_poison_attempts": "3", infra.MetaPartition: "2", infra.MetaOffset: "7"} {
		m.Metadata[k] = v
	}
	return m
}

func TestRedrivenKeepsTheDelivery(t *testing.T) {
	now := time.Now().UTC()
	p := poisonRecord("deliver")
	first, err := record.DecodeDelivery("d", p)
	require.NoError(t, err)
	for n := 1; n <= 3; n++ {
		r := record.Redrive{Of: record.PositionOf(p), Run: "r1", At: now}
		out := record.Redriven(p, r)
		got, err := record.DecodeDelivery("d", out)
		require.NoError(t, err)
		want := first
		want.Redrives, want.RedrivenAt = n, now
		assert.Equal(t, want, got)
		for k := range out.Metadata {
			assert.NotContains(t, k, "es_poison")
		}
		back, ok := record.DecodeRedrive(out)
		assert.True(t, ok)
		assert.Equal(t, r, back)
		p = out
		p.Metadata[infra.MetaPartition], p.Metadata[infra.MetaOffset] = "2", fmt.Sprint(7+n)
		assert.Equal(t, n, record.DecodePoison("d", p).Redrives)
	}
	_, ok := record.DecodeRedrive(poisonRecord("deliver"))
	assert.False(t, ok)
}

type upper struct {
	counter
	err error
}

func (u *upper) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	if u.err == nil && e.Key == "panic" {
		panic("secret")
	}
	return destinations.Payload{ContentType: "text/plain", Headers: map[string]string{"X-B": "b"}, Body: []byte("made of " + string(e.Data))}, u.err
}

func TestAgainTransformsAsConfiguredNow(t *testing.T) {
	u := &upper{}
	d := &router.Destination{Destination: u}
	r := record.Redrive{Of: record.Position{Partition: 2, Offset: 7}, Run: "r1", At: time.Now().UTC()}
	rec, err := d.Again(t.Context(), poisonRecord("transform"), r, 0)
	require.NoError(t, err)
	got, err := record.DecodeDelivery("d", rec)
	require.NoError(t, err)
	assert.Equal(t, "made of {\"n\": 1}", string(got.Payload.Body))
	assert.Equal(t, int64(41), got.Sequence, "that of the event")
	assert.Equal(t, 1, got.Redrives)
	assert.Equal(t, "e1:d", got.ID)

	_, err = d.Again(t.Context(), poisonRecord("transform"), r, 10)
	reason, text := router.Failure(err, poisonRecord("transform"))
	assert.Equal(t, metrics.ReasonTransform, reason)
	assert.Contains(t, text, "at most 10 bytes are allowed")

	p := poisonRecord("transform")
	p.Metadata[infra.MetaKey] = "panic"
	_, err = d.Again(t.Context(), p, r, 0)
	reason, text = router.Failure(err, poisonRecord("transform"))
	assert.Equal(t, "transform: panic: secret", reason+": "+text)

	u.err = destinations.ErrSkip
	_, err = d.Again(t.Context(), poisonRecord("transform"), r, 0)
	assert.True(t, router.Skipped(err))
	u.err = errors.New("still broken")
	_, err = d.Again(t.Context(), poisonRecord("transform"), r, 0)
	assert.False(t, router.Skipped(err))
	reason, text = router.Failure(err, poisonRecord("transform"))
	assert.Equal(t, "transform: transform: still broken", reason+": "+text)

	bad := message.NewMessage("x", nil)
	_, err = d.Again(t.Context(), bad, r, 0)
	reason, _ = router.Failure(err, poisonRecord("transform"))
	assert.Equal(t, metrics.ReasonUndecodable, reason)
}

func TestMarks(t *testing.T) {
	m := record.Mark{Kind: record.MarkDiscarded, Of: record.Position{Partition: 3, Offset: 17}, By: "ann", Run: "r", EventID: "e", At: time.Now().UTC()}
	msg := record.EncodeMark(m, "ada")
	assert.Equal(t, "ada", msg.Metadata[infra.MetaKey])
	got, ok := record.DecodeMark(msg)
	assert.True(t, ok)
	assert.Equal(t, m, got)
	_, ok = record.DecodeMark(poisonRecord("deliver"))
	assert.False(t, ok)
	for _, bad := range []string{"", "3", "3:", ":4", "-1:4", "3:-4", "x:y", "3:4:5"} {
		msg.Metadata["es_mark_of"] = bad
		got, ok = record.DecodeMark(msg)
		assert.True(t, ok)
		assert.Equal(t, record.Position{Partition: -1, Offset: -1}, got.Of, bad)
	}
}

// Every reason there is has one class.
func TestReasonClasses(t *testing.T) {
	for _, class := range []string{record.ClassPipeline, record.ClassReceiver} {
		for _, reason := range record.Reasons(class) {
			assert.Equal(t, class, record.ClassOf(reason), reason)
		}
	}
	assert.Len(t, record.Reasons(""), 7)
}
