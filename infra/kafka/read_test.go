package kafka

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// foreign is another program that writes to the cluster.
func foreign(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// liveEnd opens a cursor and puts it at the live end of an empty partition.
func liveEnd(t *testing.T, l *Log, partition int32) infra.Cursor {
	t.Helper()
	c, err := l.Open(t.Context(), topic, partition, 0)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	none, err := c.Read(t.Context(), 1<<20)
	require.NoError(t, err)
	require.Empty(t, none)
	return c
}

// Records of a transaction that was aborted, or is not ended, are not delivered.
func TestReadsWhatIsCommitted(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	l := process(t, c, "one", nil)
	tx := foreign(t, c, kgo.TransactionalID("tx"))
	write := func(value string, end kgo.TransactionEndTry) {
		t.Helper()
		require.NoError(t, tx.BeginTransaction())
		require.NoError(t, tx.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: []byte(value)}).FirstErr())
		require.NoError(t, tx.EndTransaction(t.Context(), end))
	}
	behind, err := l.Open(t.Context(), topic, 1, 0)
	require.NoError(t, err)
	defer behind.Close()
	live := liveEnd(t, l, 1)
	write("aborted", kgo.TryAbort)
	write("committed", kgo.TryCommit)
	require.NoError(t, tx.BeginTransaction())
	require.NoError(t, tx.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: []byte("open")}).FirstErr())
	for _, cursor := range []infra.Cursor{live, behind} {
		var got []string
		for len(got) == 0 {
			recs, err := cursor.Read(t.Context(), 1<<20)
			require.NoError(t, err)
			for _, r := range recs {
				got = append(got, string(r.Value))
			}
			if len(recs) == 0 {
				<-cursor.More()
			}
		}
		assert.Equal(t, []string{"committed"}, got)
		more, err := cursor.Read(t.Context(), 1<<20)
		require.NoError(t, err)
		assert.Empty(t, more)
	}
	bounds, err := l.Bounds(t.Context(), topic, time.Time{})
	require.NoError(t, err)
	assert.EqualValues(t, 4, bounds[1].End, "behind the end of the second transaction")
	require.NoError(t, tx.EndTransaction(t.Context(), kgo.TryAbort))
}

// A reader that is far behind holds up nobody who is at the end, and the other way
// round; each sees everything once and in order.
func TestReadersOfOnePartition(t *testing.T) {
	t.Parallel()
	l := process(t, cluster(t), "one", nil)
	const total, size = 3000, 1 << 10 // more than is kept for who is behind
	fast, err := l.Open(t.Context(), topic, 0, 0)
	require.NoError(t, err)
	defer fast.Close()
	slow, err := l.Open(t.Context(), topic, 0, 0)
	require.NoError(t, err)
	defer slow.Close()
	for _, c := range []infra.Cursor{fast, slow} { // both are at the end
		none, err := c.Read(t.Context(), 1)
		require.NoError(t, err)
		require.Empty(t, none)
	}
	go func() {
		for i := range total / 10 {
			recs := make([]*infra.Record, 10)
			for j := range recs {
				recs[j] = &infra.Record{Topic: topic, Value: make([]byte, size), Key: []byte{byte(i)}}
			}
			if err := l.Append(t.Context(), infra.Batch{Records: recs}); err != nil {
				t.Error(err)
			}
		}
	}()
	for _, c := range []infra.Cursor{fast, slow} { // the slow one begins when the fast one is done
		next := int64(0)
		for next < total {
			recs, err := c.Read(t.Context(), 64<<10)
			require.NoError(t, err)
			for _, r := range recs {
				require.Equal(t, next, r.Offset)
				next++
			}
			if len(recs) == 0 {
				<-c.More()
			}
		}
	}
	assert.Zero(t, l.followers.held.Load(), "nothing is held of what everybody has read")
}

// A reader that comes to the end while a record comes is given it at once: others at
// the end have it already, and nothing will wake this one.
func TestRecordThatComesWhileAReaderJoins(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	l := process(t, c, "one", nil)
	other := foreign(t, c)
	open := func() infra.Cursor {
		cursor, err := l.Open(t.Context(), topic, 1, 0)
		require.NoError(t, err)
		t.Cleanup(cursor.Close)
		return cursor
	}
	first, second := open(), open()
	none, err := first.Read(t.Context(), 1<<20)
	require.NoError(t, err)
	require.Empty(t, none)
	var empty atomic.Bool // the second reader was told that there is nothing
	c.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.FetchRequest)
		if req.SessionEpoch != -1 || !empty.CompareAndSwap(false, true) {
			return nil, nil, false // the live end
		}
		c.SleepControl(func() {
			assert.NoError(t, other.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: []byte("it")}).FirstErr())
			<-first.More()
		})
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		for _, of := range req.Topics {
			one := kmsg.NewFetchResponseTopic()
			one.Topic, one.TopicID = of.Topic, of.TopicID
			for _, p := range of.Partitions {
				part := kmsg.NewFetchResponseTopicPartition()
				part.Partition, part.HighWatermark, part.LastStableOffset = p.Partition, 0, 0
				one.Partitions = append(one.Partitions, part)
			}
			resp.Topics = append(resp.Topics, one)
		}
		return resp, nil, true
	})
	got, err := second.Read(t.Context(), 1<<20)
	require.NoError(t, err)
	require.True(t, empty.Load())
	require.Len(t, got, 1)
	assert.Equal(t, "it", string(got[0].Value))
}
