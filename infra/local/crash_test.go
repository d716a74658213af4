package local

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// place is where a record stands.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// crashRun is a log at work whose machine crashes.
type crashRun struct {
	t     *testing.T
	log   *Log
	parts int32

	mu      sync.Mutex
	acked   map[place]string // a Durable Append has returned
	seen    map[place]string // a cursor on a topic of Durable records has handed it out
	stored  map[place]string // whatever stands or stood there
	low     map[int32]int64  // events: a Trim has begun
	busy    chan struct{}    // has one value for each that is acked
	context context.Context
}

// write appends durably, now and then more than one record.
func (c *crashRun) write(writer int) {
	for n := 0; ; n++ {
		var rs []*infra.Record
		for i := range 1 + n%3 {
			rs = append(rs, record("events", int32(writer+n)%c.parts, fmt.Sprint(writer, "-", n, "-", i)))
		}
		if c.log.Append(c.context, infra.Batch{Records: rs}) != nil {
			return
		}
		c.mu.Lock()
		for _, r := range rs {
			at := place{r.Topic, r.Partition, r.Offset}
			c.acked[at], c.stored[at] = string(r.Value), string(r.Value)
		}
		c.mu.Unlock()
		select {
		case c.busy <- struct{}{}:
		default:
		}
	}
}

// transform copies a partition of events to dest by Steps, keeps what the group
// "other" has done, and trims.
func (c *crashRun) transform(partition int32) {
	kept, err := c.log.Kept(c.context, "events")
	if err != nil {
		return
	}
	cursor, err := c.log.Open(c.context, "events", partition, kept["transform"][partition].Next)
	if err != nil {
		return
	}
	defer cursor.Close()
	for {
		rs, err := cursor.Read(c.context, 200)
		if err != nil {
			return
		}
		if len(rs) == 0 {
			select {
			case <-cursor.More():
			case <-c.context.Done():
				return
			}
			continue
		}
		next := rs[len(rs)-1].Offset + 1
		b := infra.Batch{Durability: infra.Step, Progress: []infra.Progressed{{Group: "transform", Topic: "events", Partition: partition, Position: infra.Position{Next: next}}}}
		c.mu.Lock()
		for _, r := range rs {
			c.seen[place{"events", partition, r.Offset}] = string(r.Value)
			b.Records = append(b.Records, record("dest", partition, string(r.Value)))
		}
		c.mu.Unlock()
		if c.log.Append(c.context, b) != nil {
			return
		}
		other := infra.Progressed{Group: "other", Topic: "dest", Partition: partition, Position: infra.Position{Next: b.Records[len(b.Records)-1].Offset + 1}}
		if c.log.Keep(c.context, other) != nil {
			return
		}
		if next%5 == 0 {
			c.mu.Lock()
			c.low[partition] = next - 3
			c.mu.Unlock()
			if c.log.Trim(c.context, "events", map[int32]int64{partition: next - 3}) != nil {
				return
			}
		}
	}
}

// TestPowerLoss cuts the power at random moments: what was not synced is there or
// not, block by block.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	runs := 60
	if testing.Short() {
		runs = 10
	}
	for n := range runs {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(n), 14))
			fs := vfs.NewCrashableMem()
			powerLoss(t, fs, rng, 0)
		})
	}
}

func powerLoss(t *testing.T, fs *vfs.MemFS, rng *rand.Rand, life int) {
	const parts = 2
	l := open(t, Config{Dir: "data", Partitions: parts, fs: fs}, "events", "dest")
	ctx, end := context.WithCancel(t.Context())
	c := &crashRun{
		t: t, log: l, parts: parts, busy: make(chan struct{}, 1), context: ctx,
		acked: map[place]string{}, seen: map[place]string{}, stored: map[place]string{}, low: map[int32]int64{},
	}
	var running sync.WaitGroup
	for w := range 4 {
		running.Go(func() { c.write(w) })
	}
	for p := range int32(parts) {
		running.Go(func() { c.transform(p) })
	}
	for range rng.IntN(60) {
		<-c.busy
	}
	c.mu.Lock()
	acked, seen, low := maps.Clone(c.acked), maps.Clone(c.seen), maps.Clone(c.low)
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[rng.IntN(3)], RNG: rng})
	c.mu.Unlock()
	end()
	running.Wait()
	require.NoError(t, l.Close())

	l = open(t, Config{Dir: "data", fs: crashed})
	c.check(l, acked, seen, low)
	require.NoError(t, l.Close())
	if life < 2 {
		powerLoss(t, crashed, rng, life+1) // on what the crash has left
	}
}

func (c *crashRun) check(l *Log, acked, seen map[place]string, low map[int32]int64) {
	t := c.t
	found := map[place]string{}
	ends := map[string]map[int32]infra.Bounds{}
	for _, topic := range []string{"events", "dest"} {
		var err error
		ends[topic], err = l.Bounds(t.Context(), topic, zeroTime)
		require.NoError(t, err)
		for p := range c.parts {
			next := ends[topic][p].Oldest
			for _, r := range readAll(t, l, topic, p, 0) {
				require.Equal(t, next, r.Offset, "no gap")
				next++
				found[place{topic, p, r.Offset}] = string(r.Value)
			}
			require.Equal(t, ends[topic][p].End, next)
		}
	}
	for at, v := range acked {
		if at.offset >= low[at.partition] {
			require.Equal(t, v, found[at], "accepted: %v", at)
		}
	}
	for at, v := range seen {
		require.Less(t, at.offset, ends["events"][at.partition].End, "its offset must not be given again: %v", at)
		if at.offset >= low[at.partition] {
			require.Equal(t, v, found[at], "was read: %v", at)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, v := range found {
		if was, ok := c.stored[at]; ok && at.topic == "events" {
			require.Equal(t, was, v, "another record: %v", at)
		}
	}
	done, err := l.Kept(t.Context(), "events")
	require.NoError(t, err)
	for p, at := range done["transform"] {
		require.LessOrEqual(t, at.Next, ends["events"][p].End)
	}
	// What the transform has done is in dest, once each, in order; nothing else is.
	for p := range c.parts {
		var want []string
		for offset := int64(0); offset < done["transform"][p].Next; offset++ {
			v, ok := seen[place{"events", p, offset}]
			if !ok {
				v, ok = c.seen[place{"events", p, offset}]
			}
			if !ok {
				want = nil // of an earlier life
				continue
			}
			want = append(want, v)
		}
		got := values(readAll(t, l, "dest", p, 0))
		require.GreaterOrEqual(t, len(got), len(want))
		require.Equal(t, append([]string{}, want...), got[len(got)-len(want):])
		require.Len(t, got, int(done["transform"][p].Next))
	}
	kept, err := l.Kept(t.Context(), "dest")
	require.NoError(t, err)
	for p, at := range kept["other"] {
		assert.LessOrEqual(t, at.Next, ends["dest"][p].End, "progress outlived its records")
	}
}
