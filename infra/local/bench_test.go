package local

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func benchRecord(topic string, partition int32) *infra.Record {
	return &infra.Record{
		Topic: topic, Partition: partition, Key: []byte("user-1234"), Value: bytes.Repeat([]byte("x"), 200),
		Headers: []infra.Header{{Key: []byte("type"), Value: []byte("order.created")}, {Key: []byte("id"), Value: []byte("01J8ZQ3V9X6F2T7K4M5N8P0R1S")}, {Key: []byte("source"), Value: []byte("/bench")}},
	}
}

// BenchmarkAppend stores records of 300 bytes, one a call. "pebble" is the least that
// it can cost: the same writers call Pebble's own group commit.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		for _, storage := range []string{"dir", "nosync", "memory"} {
			b.Run(fmt.Sprintf("%s/%d", storage, writers), func(b *testing.B) {
				cfg := Config{NoSync: storage == "nosync"}
				if storage != "memory" {
					cfg.Dir = b.TempDir()
				}
				l := open(b, cfg, "events")
				spread(b, writers, func(n int64) error {
					return l.Append(b.Context(), infra.Batch{Records: []*infra.Record{benchRecord("events", int32(n%8))}})
				})
			})
		}
		b.Run(fmt.Sprintf("pebble/%d", writers), func(b *testing.B) {
			l := open(b, Config{Dir: b.TempDir()})
			spread(b, writers, func(n int64) error {
				r := benchRecord("events", 0)
				v := make([]byte, encodedSize(r))
				encodeRecord(v, r, 0)
				return l.db.Set(appendRecordKey(nil, 1, int32(n%8), n), v, pebble.Sync)
			})
		})
	}
}

// spread has calls made by a number of goroutines.
func spread(b *testing.B, writers int, call func(n int64) error) {
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				if err := call(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}

// BenchmarkPipeline is what a transform does: durable appends, a reader at the end of
// each partition, which stores two records and progress for each it is given.
func BenchmarkPipeline(b *testing.B) {
	for _, dir := range []bool{true, false} {
		b.Run(fmt.Sprintf("dir=%v", dir), func(b *testing.B) {
			cfg := Config{}
			if dir {
				cfg.Dir = b.TempDir()
			}
			l := open(b, cfg, "events", "dest.a", "dest.b")
			var readers sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			for n := range int32(8) {
				c, err := l.Open(b.Context(), "events", n, 0)
				require.NoError(b, err)
				readers.Go(func() {
					defer c.Close()
					for {
						rs, err := c.Read(b.Context(), 64<<10)
						if err != nil {
							b.Error(err)
							return
						}
						if len(rs) == 0 {
							select {
							case <-c.More():
							case <-done:
								return
							}
							continue
						}
						batch := infra.Batch{Durability: infra.Step}
						for _, r := range rs {
							for _, topic := range []string{"dest.a", "dest.b"} {
								batch.Records = append(batch.Records, &infra.Record{Topic: topic, Partition: n, Key: r.Key, Headers: r.Headers, Value: r.Value})
							}
						}
						batch.Progress = append(batch.Progress, infra.Progressed{Group: "g", Topic: "events", Partition: n, Position: infra.Position{Next: rs[len(rs)-1].Offset + 1}})
						if err := l.Append(b.Context(), batch); err != nil {
							b.Error(err)
							return
						}
						if left.Add(-int64(len(rs))) == 0 {
							close(done)
						}
					}
				})
			}
			spread(b, 64, func(n int64) error {
				return l.Append(b.Context(), infra.Batch{Records: []*infra.Record{benchRecord("events", int32(n%8))}})
			})
			readers.Wait()
		})
	}
}

// BenchmarkRead reads a partition from its beginning.
func BenchmarkRead(b *testing.B) {
	l := open(b, Config{Dir: b.TempDir()}, "events")
	const batch = 1000
	for n := 0; n < b.N; n += batch {
		var rs []*infra.Record
		for range batch {
			rs = append(rs, benchRecord("events", 0))
		}
		require.NoError(b, l.Append(b.Context(), infra.Batch{Records: rs, Durability: infra.Step}))
	}
	for _, size := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			c, err := l.Open(b.Context(), "events", 0, 0)
			require.NoError(b, err)
			defer c.Close()
			for n := 0; n < b.N; {
				rs, err := c.Read(b.Context(), size)
				require.NoError(b, err)
				if len(rs) == 0 {
					c.(*cursor).next = 0
				}
				n += len(rs)
			}
		})
	}
}
