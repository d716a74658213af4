package record

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"eventserver/destinations"
)

// What a request holds comes out of its one message as it went in.
func TestIngestMessage(t *testing.T) {
	event := rapid.Custom(func(t *rapid.T) destinations.Event {
		e := destinations.Event{
			ID: rapid.StringN(1, 10, 100).Draw(t, "id"), Type: rapid.String().Draw(t, "type"), Source: rapid.String().Draw(t, "source"),
			Key: rapid.StringN(1, 10, 100).Draw(t, "key"), ContentType: rapid.SampledFrom([]string{"", "application/json"}).Draw(t, "content"),
			Data:       rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			ReceivedAt: time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Metadata:   rapid.MapOf(rapid.StringN(1, 5, 20), rapid.String()).Draw(t, "metadata"),
		}
		e.Time = e.ReceivedAt
		if rapid.Bool().Draw(t, "timed") {
			e.Time = time.Date(rapid.IntRange(1, 9999).Draw(t, "year"), 2, 3, 4, 5, 6, 7, time.UTC)
		}
		if len(e.Metadata) == 0 {
			e.Metadata = nil
		}
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(event, 1, 20).Draw(t, "events")
		for i := range want[1:] { // the events of a request have the metadata in common
			if rapid.Bool().Draw(t, "same metadata") {
				want[i+1].Metadata = want[i].Metadata
			}
		}
		recs, err := DecodeIngest(EncodeIngest(want))
		require.NoError(t, err)
		require.Len(t, recs, len(want))
		for i, rec := range recs {
			got, err := DecodeEvent(rec)
			require.NoError(t, err)
			assert.Equal(t, string(want[i].Data), string(got.Data))
			got.Data = want[i].Data
			assert.Equal(t, want[i], got)
		}
	})
}

func TestIngestMessageThatIsCutShort(t *testing.T) {
	now := time.Now()
	msg := EncodeIngest([]destinations.Event{{ID: "a", Key: "k", ReceivedAt: now, Data: []byte("{}")}, {ID: "b", Key: "k", ReceivedAt: now, Data: []byte("{}")}})
	index := msg.Metadata[hBatch]
	for n := 1; n < len(index); n++ {
		msg.Metadata[hBatch] = index[:n]
		if recs, err := DecodeIngest(msg); err == nil && len(recs) > 1 {
			t.Errorf("cut after %d of %d bytes: %d records", n, len(index), len(recs))
		}
	}
	msg.Metadata[hBatch], msg.Payload = index, msg.Payload[:3]
	if _, err := DecodeIngest(msg); err == nil {
		t.Error("a payload that is too short is not seen")
	}
}
