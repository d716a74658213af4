package kafka

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

func tailOf(c infra.Cursor) *tail { return c.(*cursor).tail }

// appendOwn appends values to partition 1.
func appendOwn(t *testing.T, l *Log, values ...string) {
	t.Helper()
	recs := make([]*infra.Record, len(values))
	for i, v := range values {
		recs[i] = &infra.Record{Topic: topic, Partition: 1, Value: []byte(v)}
	}
	require.NoError(t, l.Append(t.Context(), infra.Batch{Records: recs}))
}

// What this process appends reaches who is at the live end without a fetch.
func TestOwnRecordsAreNotFetched(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	l := process(t, c, "one", nil)
	first, second := liveEnd(t, l, 1), liveEnd(t, l, 1)
	c.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		c.SleepControl(func() { // it has nothing, ever
			select {
			case <-time.After(time.Duration(r.(*kmsg.FetchRequest).MaxWaitMillis) * time.Millisecond):
			case <-t.Context().Done():
			}
		})
		return r.ResponseKind(), nil, true
	})
	appendOwn(t, l, "0", "1")
	appendOwn(t, l, "2")
	for _, cursor := range []infra.Cursor{first, second} {
		recs, err := cursor.Read(t.Context(), 1<<20)
		require.NoError(t, err)
		require.Len(t, recs, 3)
		for i, r := range recs {
			assert.EqualValues(t, i, r.Offset)
			assert.Equal(t, fmt.Sprint(i), string(r.Value))
			assert.False(t, r.Time.IsZero())
		}
	}
}

// Others may begin to append to a partition that was this process's own: everything
// that is committed comes once and in order, whoever appended it.
func TestOwnAndOthersRecords(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	l := process(t, c, "one", nil)
	l.followers.checkInterval = 20 * time.Millisecond
	other, tx := foreign(t, c), foreign(t, c, kgo.TransactionalID("tx"))
	cursor := liveEnd(t, l, 1)
	isOwn := func() bool {
		live := tailOf(cursor) // nil: it reads for itself, since what comes next is not committed
		if live == nil {
			return false
		}
		_, own := live.nextFetch()
		return own
	}

	var want, got []string
	next := int64(0)
	read := func() {
		t.Helper()
		for len(got) < len(want) {
			recs, err := cursor.Read(t.Context(), 1<<20)
			require.NoError(t, err)
			for _, r := range recs {
				require.GreaterOrEqual(t, r.Offset, next)
				next = r.Offset + 1
				got = append(got, string(r.Value))
			}
			if len(recs) == 0 {
				<-cursor.More()
			}
		}
		require.Equal(t, want, got)
		more, err := cursor.Read(t.Context(), 1<<20) // at the live end again, if it was not
		require.NoError(t, err)
		require.Empty(t, more)
	}
	n := 0
	value := func(of string) string { n++; return fmt.Sprint(of, n) }
	own := func() {
		values := make([]string, 1+rand.IntN(5))
		for i := range values {
			values[i] = value("own")
		}
		want = append(want, values...)
		appendOwn(t, l, values...)
	}
	becomesOwn := func() {
		for {
			for range minOwnRecords {
				own()
			}
			read()
			if isOwn() {
				return
			}
		}
	}
	produce := func(by *kgo.Client, v string) {
		require.NoError(t, by.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: []byte(v)}).FirstErr())
	}
	others := []func(){
		func() { // somebody else
			v := value("other")
			want = append(want, v)
			produce(other, v)
		},
		func() { // a transaction, around a record of ours
			end := kgo.TransactionEndTry(rand.IntN(2) == 0)
			require.NoError(t, tx.BeginTransaction())
			v := value("tx")
			if end == kgo.TryCommit {
				want = append(want, v)
			}
			produce(tx, v)
			own()
			require.NoError(t, tx.EndTransaction(t.Context(), end))
		},
	}
	for _, begins := range others {
		becomesOwn()
		begins()
		read() // though nobody polls
		assert.False(t, isOwn(), "another's record has come")
	}
	becomesOwn()
	for range 300 {
		if rand.IntN(3) == 0 {
			others[rand.IntN(len(others))]()
		} else {
			own()
		}
		if rand.IntN(4) == 0 {
			read()
		}
	}
	read()
}
