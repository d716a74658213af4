package local

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// A damaged table kept records of other tables from being read: of each table Pebble
// reads the block where a record would stand. Whatever a repair finds is read, and the
// other records are named.
func TestDamagedTableHidesNoOther(t *testing.T) {
	t.Parallel()
	flip := func(part float64) func([]byte) []byte {
		return flipAt(func(n int) int { return int(part * float64(n)) })
	}
	edit := func(how func([]byte) []byte) func(string) {
		return func(path string) { editFile(t, path, how) }
	}
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	noIndex := func(b []byte) []byte { clear(b[len(b)-3000:]); return b }
	for table, name := range []string{"oldest", "middle", "newest"} {
		for how, damage := range map[string]func(path string){
			"early": edit(flip(0.2)), "flipped": edit(flip(0.5)), "late": edit(flip(0.7)),
			"cut": edit(cut), "index": edit(noIndex), "deleted": func(path string) { require.NoError(t, os.Remove(path)) },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				damagedTable(t, table, damage)
			})
		}
	}
}

const (
	damagedParts = 3
	damagedLow   = 20 // of each partition
)

func damagedTable(t *testing.T, table int, damage func(path string)) {
	dir := filepath.Join(t.TempDir(), "data")
	var told damageList
	cfg := Config{Dir: dir, Partitions: damagedParts, NoSync: true, verify: -1, Damaged: told.add}
	l := open(t, cfg, "a")
	ends := int64(0)
	fill := func(n int) {
		for range n {
			for p := range int32(damagedParts) {
				put(t, l, "a", p, randomText(300))
			}
		}
		ends += int64(n)
	}
	fill(120)
	require.NoError(t, l.db.Flush())
	require.NoError(t, l.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	fill(60)
	require.NoError(t, l.db.Flush())
	require.NoError(t, l.Trim(t.Context(), "a", map[int32]int64{0: damagedLow, 1: damagedLow, 2: damagedLow}))
	fill(60)
	require.NoError(t, l.db.Flush())
	require.NoError(t, l.Close()) // nothing of it is in memory
	tables := logFiles(t, dir, "", ".sst")
	require.Len(t, tables, 3)
	l = open(t, cfg)
	fill(10)
	damage(tables[table])

	cured := filepath.Join(t.TempDir(), "cured")
	_, err := Repair(t.Context(), copyOf(t, dir), cured)
	require.NoError(t, err)
	repaired := open(t, Config{Dir: cured, Partitions: damagedParts, NoSync: true})
	lost := 0
	for p := range int32(damagedParts) {
		want := map[int64]string{}
		for _, r := range readAll(t, repaired, "a", p, 0) {
			want[r.Offset] = string(r.Value)
		}
		for _, maxBytes := range []int{1, 5000, 1 << 20} {
			got, named := readDamaged(t, l, p, maxBytes)
			for offset := int64(damagedLow); offset < ends; offset++ {
				_, read := got[offset]
				switch value, found := want[offset]; {
				case found && got[offset] != value:
					t.Errorf("partition %d: offset %d can be read, and was not: named %v", p, offset, named)
				case read == named[offset]:
					t.Errorf("partition %d: offset %d: read %v, named %v", p, offset, read, named[offset])
				case !read:
					lost++
				}
			}
			if first := slices.Min(slices.Collect(maps.Keys(got))); first < damagedLow {
				t.Errorf("partition %d: offset %d was trimmed, and is read", p, first)
			}
		}
	}
	assert.Equal(t, lost > 0, len(told.all()) > 0 && slices.ContainsFunc(told.all(), func(e *infra.DamageError) bool { return e.Topic != "" }))
}

// readDamaged reads a partition to its end.
func readDamaged(t *testing.T, l *Log, partition int32, maxBytes int) (got map[int64]string, named map[int64]bool) {
	t.Helper()
	c, err := l.Open(t.Context(), "a", partition, 0)
	require.NoError(t, err)
	defer c.Close()
	got, named = map[int64]string{}, map[int64]bool{}
	for {
		rs, err := c.Read(t.Context(), maxBytes)
		if e, ok := asDamage(err); ok {
			for offset := e.Offsets.From; offset < e.Offsets.To; offset++ {
				named[offset] = true
			}
			continue
		}
		require.NoError(t, err)
		if len(rs) == 0 {
			return got, named
		}
		for _, r := range rs {
			got[r.Offset] = string(r.Value)
		}
	}
}
