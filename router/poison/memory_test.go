package poison

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
	"eventserver/router/record"
)

// large is a broker whose poison queue has very many items, half of them
// settled, made as they are read.
type large struct {
	infra.Broker
	items int64
	peak  uint64
}

func (l *large) Bounds(_ context.Context, topic string, _ time.Time) (map[int32]infra.Bounds, error) {
	if topic != "poison.d" {
		return map[int32]infra.Bounds{0: {}}, nil
	}
	return map[int32]infra.Bounds{0: {End: l.items + l.items/2}}, nil
}

func (l *large) Place(context.Context, string, string) (int32, error) { return 0, nil }

func (l *large) Scan(_ context.Context, _ string, ranges map[int32]infra.Range, f func(*message.Message, time.Time) error) error {
	for at := ranges[0].From; at < ranges[0].To; at++ {
		var m *message.Message
		if at < l.items {
			m = message.NewMessage("", make([]byte, 1000))
			m.Metadata = message.Metadata{"ce_id": fmt.Sprint("e", at), infra.MetaKey: fmt.Sprint("user", at%1000), "es_sequence": fmt.Sprint(at), "es_poison_stage": "deliver", "es_poison_reason": "age"}
		} else {
			m = record.EncodeMark(record.Mark{Kind: record.MarkRedriven, Of: record.Position{Offset: 2 * (at - l.items)}}, "k")
		}
		m.Metadata[infra.MetaPartition], m.Metadata[infra.MetaOffset] = "0", fmt.Sprint(at)
		if err := f(m, time.Now()); err != nil {
			return err
		}
		if at%20_000 == 0 {
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			l.peak = max(l.peak, s.HeapAlloc)
		}
	}
	return nil
}

func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	b := &large{items: 60_000}
	s, err := New(Config{Broker: b, Publisher: small{}, Destinations: func() []string { return []string{"d"} },
		Again: func(context.Context, string, *message.Message, record.Redrive) (*message.Message, error) {
			return nil, nil
		}})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	counts, err := s.Counts(t.Context(), Filter{})
	require.NoError(t, err)
	assert.Equal(t, 30_000, counts.Count)
	run := redrive(t, s, Order{DryRun: true})
	assert.Equal(t, 30_000, run.Redriven)
	grew := int64(b.peak) - int64(before.HeapAlloc)
	t.Logf("the heap grew by %d KiB for %d items of 1000 bytes", grew>>10, b.items)
	assert.Less(t, grew, int64(8<<20))
}
