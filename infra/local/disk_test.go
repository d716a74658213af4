package local

import (
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

const (
	fillRecord = 64 << 10
	fillBytes  = 40 << 20
	// restBytes is what may stand on the disk when nothing is stored: a write-ahead log,
	// the manifest, tables of which Pebble still uses a part.
	restBytes = fillBytes / 3
)

// fill stores bytes that no compression makes smaller, in two partitions.
func fill(t *testing.T, l *Log, topic string, bytes int) (each int64) {
	t.Helper()
	const batch = 8
	for range bytes / fillRecord / batch {
		b := infra.Batch{Durability: infra.Step}
		for i := range batch {
			v := make([]byte, fillRecord)
			_, _ = rand.Read(v)
			b.Records = append(b.Records, &infra.Record{Topic: topic, Partition: int32(i % 2), Key: []byte("k"), Value: v})
		}
		require.NoError(t, l.Append(t.Context(), b))
	}
	return int64(bytes / fillRecord / 2)
}

// onDisk is what the log takes of the disk, or of the memory that stands for it.
func onDisk(t *testing.T, l *Log) (bytes int64) {
	t.Helper()
	if l.cfg.Dir == "" {
		return int64(l.db.Metrics().DiskSpaceUsage())
	}
	require.NoError(t, filepath.WalkDir(l.cfg.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if os.IsNotExist(err) {
			return nil // Pebble deletes behind its work
		}
		bytes += info.Size()
		return err
	}))
	return bytes
}

// shrinks waits until the log takes no more than that. Pebble deletes files behind its
// work, and tells nobody when it has counted that.
func shrinks(t *testing.T, l *Log, most int64) {
	t.Helper()
	require.Eventually(t, func() bool { return onDisk(t, l) <= most }, time.Minute, 10*time.Millisecond, "%d bytes are too many", most)
}

func inDir(t *testing.T) Config { return Config{Partitions: 2, Dir: t.TempDir(), NoSync: true} }

// shrinking opens a log that gives room back at once.
func shrinking(t *testing.T, cfg Config, topics ...string) *Log {
	t.Helper()
	cfg.reclaim = 1
	return open(t, cfg, topics...)
}

// What was trimmed stood in a memtable that nothing flushed, or in tables that no
// compaction met, and five write-ahead logs were kept to be used again: an idle server
// held 63 to 79 MB after 40 MB were trimmed.
func TestTrimGivesRoomBack(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		bytes := fillBytes
		if cfg.Dir == "" { // Pebble's file system in memory is slow under the race detector
			bytes /= 4
		}
		l := shrinking(t, cfg, "a")
		each := fill(t, l, "a", bytes)
		require.NoError(t, l.Trim(t.Context(), "a", map[int32]int64{0: each, 1: each}))
		shrinks(t, l, int64(bytes)/3)
	})
}

func TestSmallTrimsGiveRoomBack(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 40 MB; TestTrimGivesRoomBack does it once")
	}
	t.Parallel()
	l := shrinking(t, inDir(t), "a")
	each := fill(t, l, "a", fillBytes)
	for offset := range each {
		require.NoError(t, l.Trim(t.Context(), "a", map[int32]int64{0: offset + 1, 1: offset + 1}))
	}
	shrinks(t, l, restBytes)
}

func TestDeletedTopicGivesRoomBack(t *testing.T) {
	t.Parallel()
	l := shrinking(t, inDir(t), "a", "b")
	fill(t, l, "a", fillBytes)
	require.NoError(t, l.DeleteTopics(t.Context(), "a"))
	shrinks(t, l, restBytes)
}

func TestTrimAfterRestartGivesRoomBack(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 40 MB; TestTrimGivesRoomBack does it once")
	}
	t.Parallel()
	cfg := inDir(t)
	l := shrinking(t, cfg, "a")
	each := fill(t, l, "a", fillBytes)
	require.NoError(t, l.Close())
	l = shrinking(t, cfg)
	require.NoError(t, l.Trim(t.Context(), "a", map[int32]int64{0: each, 1: each}))
	shrinks(t, l, restBytes)
}

// What is kept costs its own size and little more.
func TestPartOfATrimmedTopic(t *testing.T) {
	t.Parallel()
	l := shrinking(t, inDir(t), "a")
	each := fill(t, l, "a", fillBytes)
	require.NoError(t, l.Trim(t.Context(), "a", map[int32]int64{0: each / 2, 1: each / 2}))
	shrinks(t, l, fillBytes/2+restBytes)
	require.NoError(t, l.Trim(t.Context(), "a", map[int32]int64{0: each})) // the other partition's half stays
	shrinks(t, l, fillBytes/4+restBytes)
	c, err := l.Open(t.Context(), "a", 1, 0)
	require.NoError(t, err)
	defer c.Close()
	for next := each / 2; next < each; {
		recs, err := c.Read(t.Context(), 1<<20)
		require.NoError(t, err)
		for _, r := range recs {
			require.Equal(t, next, r.Offset)
			require.Len(t, r.Value, fillRecord)
			next++
		}
	}
}
