package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// segment returns the newest segment file of a partition.
func segment(t *testing.T, dir, topic string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "broker", "partitions", topic+"-0", "*.dat"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return slices.Max(files)
}

func cut(t *testing.T, file string, bytes int64) {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(file, info.Size()-bytes))
}

func add(t *testing.T, file string, tail []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write(tail)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// A power cut leaves the last write half done, or as zeros where the file had
// grown and the data had not come. All before it is there.
func TestDamagedSegment(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ending string
		damage func(t *testing.T, file string)
		left   int
	}{
		"cut after Close":   {"Close", func(t *testing.T, file string) { cut(t, file, 5) }, 19},
		"cut after kill -9": {"kill -9", func(t *testing.T, file string) { cut(t, file, 5) }, 19},
		"half a header":     {"kill -9", func(t *testing.T, file string) { add(t, file, make([]byte, 6)) }, 20},
		"zeros":             {"kill -9", func(t *testing.T, file string) { add(t, file, make([]byte, 4096)) }, 20},
		"garbage":           {"kill -9", func(t *testing.T, file string) { add(t, file, bytes.Repeat([]byte{0xa5}, 4096)) }, 20},
		"no index": {"kill -9", func(t *testing.T, file string) {
			require.NoError(t, os.Remove(strings.TrimSuffix(file, "dat")+"idx"))
		}, 20},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := onePartition(t.TempDir())
			b := open(t, cfg)
			ensure(t, b, topic)
			publish(t, b, topic, "u", 0, 20)
			probe(t, b).commit(t, "webhook", topic, 0, 5)
			cfg.Dir = endings[test.ending](t, b, cfg.Dir)
			test.damage(t, segment(t, cfg.Dir, topic))

			b = open(t, cfg)
			ensure(t, b, topic)
			assert.EqualValues(t, test.left, probe(t, b).newest(t, topic, 0))
			_, in := subscribe(t, b, "webhook", topic)
			only(t, b, in, topic, "u", numbers(5, test.left-5)...)

			require.NoError(t, b.Close()) // and the damage does not come back
			b = open(t, cfg)
			_, in = subscribe(t, b, "webhook", topic)
			only(t, b, in, topic, "u")
		})
	}
}

// A group had done more than the damage left. Its commit then lay beyond the
// end of the partition, and the next events got offsets that counted as done.
func TestCommitBeyondTheEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ ending, instance string }{
		"Close, static member": {"Close", "node-1"}, // its place in the group outlives it
		"kill -9":              {"kill -9", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := onePartition(t.TempDir())
			cfg.NoSync = true
			cfg.Kafka.InstanceID = test.instance
			b := open(t, cfg)
			ensure(t, b, topic)
			publish(t, b, topic, "u", 0, 10)
			full, err := os.Stat(segment(t, cfg.Dir, topic))
			require.NoError(t, err)
			publish(t, b, topic, "u", 10, 10) // to be lost
			consume(t, b, "all", topic, 20)
			s, in := subscribe(t, b, "some", topic)
			var held sync.WaitGroup
			for i := range 20 {
				m := receive(t, in)
				if i == 5 || i == 11 {
					held.Go(func() { <-m.Context().Done(); m.Nack() })
					continue
				}
				m.Ack()
			}
			require.NoError(t, s.Close())
			held.Wait()
			lag, err := infra.LagOf(t.Context(), b, "some", topic)
			require.NoError(t, err)
			require.EqualValues(t, 2, lag)
			cfg.Dir = endings[test.ending](t, b, cfg.Dir)
			require.NoError(t, os.Truncate(segment(t, cfg.Dir, topic), full.Size()))

			b = open(t, cfg)
			ensure(t, b, topic)
			publish(t, b, topic, "u", 100, 15) // before anybody subscribes
			_, in = subscribe(t, b, "all", topic)
			only(t, b, in, topic, "u", numbers(100, 15)...)
			_, in = subscribe(t, b, "some", topic)
			only(t, b, in, topic, "u", slices.Concat([]string{"5"}, numbers(100, 15))...)
		})
	}
}

// The file of the commits was cut short as well. What was written behind the
// damage was not found by the next start after a kill -9.
func TestDamagedCommits(t *testing.T) {
	t.Parallel()
	for name, tail := range map[string][]byte{
		"cut short": nil, "zeros": make([]byte, 512), "garbage": bytes.Repeat([]byte{0xa5}, 512),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := onePartition(t.TempDir())
			b := open(t, cfg)
			ensure(t, b, topic)
			publish(t, b, topic, "u", 0, 20)
			consume(t, b, "webhook", topic, 5)
			cfg.Dir = killed(t, cfg.Dir)
			file := filepath.Join(cfg.Dir, "broker", "groups.log")
			if tail == nil {
				cut(t, file, 5)
			} else {
				add(t, file, tail)
			}

			b = open(t, cfg)
			ensure(t, b, topic)
			lag, err := infra.LagOf(t.Context(), b, "webhook", topic)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, lag, int64(15))
			consume(t, b, "webhook", topic, int(lag))

			cfg.Dir = killed(t, cfg.Dir)
			b = open(t, cfg)
			ensure(t, b, topic)
			lag, err = infra.LagOf(t.Context(), b, "webhook", topic)
			require.NoError(t, err)
			assert.Zero(t, lag)
		})
	}
}
