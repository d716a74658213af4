package local

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// TestDamagedBlockIsNotSearched: Pebble looked for the flipped bit of a damaged block
// at every read, 17 s of CPU each for a record of 0.9 MB: as long was a start, until
// it refused the directory, and as long hung each reader while it ran.
func TestDamagedBlockIsNotSearched(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	l := open(t, Config{Dir: dir, Partitions: 1}, "a")
	for range 5 {
		put(t, l, "a", 0, randomText(200_000))
	}
	require.NoError(t, l.db.Flush())
	require.NoError(t, l.Close())
	table := newest(t, dir, "", ".sst")
	editFile(t, table, flipAt(func(n int) int { return n / 2 })) // of the third record

	_, err := Open(Config{Dir: dir})
	var block *blockError
	require.ErrorAs(t, err, &block, "a start")
	require.ErrorIs(t, err, ErrDamaged)
	assert.Contains(t, err.Error(), table)

	var damages damageList
	l = open(t, Config{Dir: dir, verify: -1, Damaged: damages.add})
	c, err := l.Open(t.Context(), "a", 0, 0)
	require.NoError(t, err)
	defer c.Close()
	assert.Equal(t, []int64{0, 1, 3, 4}, readable(t, c))
	for _, e := range damages.all() {
		assert.NotContains(t, e.Error(), "carrier", "what Pebble adds for programs")
		assert.NotContains(t, e.Error(), "\n")
	}

	require.NoError(t, l.Close())
	report, err := Repair(t.Context(), dir, dir+".repaired")
	require.NoError(t, err)
	require.Len(t, report.Files, 1)
	require.ErrorAs(t, report.Files[0].Err, &block, "a repair")
}

// damageList is what a log tells of.
type damageList struct {
	mu   sync.Mutex
	list []*infra.DamageError
}

func (d *damageList) add(e *infra.DamageError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, e)
}

func (d *damageList) all() []*infra.DamageError {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.list)
}

// readable are the offsets of the records that can be read; the others are damaged.
func readable(t *testing.T, c infra.Cursor) (got []int64) {
	t.Helper()
	for {
		rs, err := c.Read(t.Context(), 1<<20)
		if err != nil {
			var block *blockError
			require.ErrorAs(t, err, &block)
			continue
		}
		if len(rs) == 0 {
			return got
		}
		for _, r := range rs {
			got = append(got, r.Offset)
		}
	}
}

// TestTableIsCutWhileItRuns: Pebble took the end of a table for no damage, so a reader
// that met it tried again for ever, and no problem, metric or alert said so.
func TestTableIsCutWhileItRuns(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	var damages damageList
	cfg := Config{Dir: dir, Partitions: 1, verify: -1, Damaged: damages.add}
	l := open(t, cfg, "a")
	for range 5 {
		put(t, l, "a", 0, randomText(20_000))
	}
	require.NoError(t, l.db.Flush())
	require.NoError(t, l.Close()) // nothing of it is in memory
	l = open(t, cfg)
	table := newest(t, dir, "", ".sst")
	editFile(t, table, func(b []byte) []byte { return b[:len(b)/2] })
	c, err := l.Open(t.Context(), "a", 0, 0)
	require.NoError(t, err)
	defer c.Close()
	assert.Equal(t, []int64{0, 1, 3, 4}, readable(t, c)) // the start has read the last ones
	require.NotEmpty(t, damages.all())
	for _, e := range damages.all() {
		assert.Equal(t, table, e.File)
	}
}

func randomText(n int) string {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var b strings.Builder
	for b.Len() < n {
		b.WriteByte(byte(rng.Uint32()))
	}
	return b.String()
}

// TestRefusalIsOneLine: the text of a start that Pebble itself refuses had lines
// twice, and Pebble's "<corruption detail carrier>".
func TestRefusalIsOneLine(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	l := open(t, Config{Dir: dir, Partitions: 1}, "a")
	put(t, l, "a", 0, randomText(200_000)) // the last one of its partition: Open reads it
	require.NoError(t, l.db.Flush())
	require.NoError(t, l.Close())
	editFile(t, newest(t, dir, "", ".sst"), flipAt(func(n int) int { return n / 2 }))
	_, err := Open(Config{Dir: dir, verify: -1})
	require.ErrorIs(t, err, ErrDamaged)
	assert.NotContains(t, err.Error(), "\n")
	assert.NotContains(t, err.Error(), "carrier")
	assert.Equal(t, 1, strings.Count(err.Error(), "checksum mismatch"))
}
