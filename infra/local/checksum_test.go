package local

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
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

	var damages []*infra.DamageError
	l = open(t, Config{Dir: dir, verify: -1, Damaged: func(e *infra.DamageError) { damages = append(damages, e) }})
	c, err := l.Open(t.Context(), "a", 0, 0)
	require.NoError(t, err)
	defer c.Close()
	var got []int64
	for {
		rs, err := c.Read(t.Context(), 1<<20)
		if err != nil {
			require.ErrorAs(t, err, &block, "a reader")
			continue
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			got = append(got, r.Offset)
		}
	}
	assert.Equal(t, []int64{0, 1, 3, 4}, got)
	for _, e := range damages {
		assert.NotContains(t, e.Error(), "carrier", "what Pebble adds for programs")
		assert.NotContains(t, e.Error(), "\n")
	}

	require.NoError(t, l.Close())
	report, err := Repair(t.Context(), dir, dir+".repaired")
	require.NoError(t, err)
	require.Len(t, report.Files, 1)
	require.ErrorAs(t, report.Files[0].Err, &block, "a repair")
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
