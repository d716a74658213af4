package local

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A time is looked for in records of which some cannot be read: nothing that was stored
// then or later is left out.
func TestTimeIsFoundInADamagedTopic(t *testing.T) {
	t.Parallel()
	cfg := inDir(t)
	cfg.verify = -1
	l := open(t, cfg, "a")
	const each = 200
	for range each {
		v := make([]byte, 1<<10)
		_, _ = rand.Read(v)
		put(t, l, "a", 0, string(v))
	}
	c, err := l.Open(t.Context(), "a", 0, 0)
	require.NoError(t, err)
	var times []time.Time
	for next := int64(0); next < each; {
		recs, err := c.Read(t.Context(), each<<10)
		require.NoError(t, err)
		for _, r := range recs {
			times = append(times, r.Time)
			next = r.Offset + 1
		}
	}
	c.Close()
	require.NoError(t, l.Close())
	l = open(t, cfg) // a start writes tables
	for _, path := range logFiles(t, cfg.Dir, "", ".sst") {
		editFile(t, path, func(b []byte) []byte {
			for at := 10_000; at < len(b)*3/4; at += 20_000 {
				b[at] ^= 0x10
			}
			return b
		})
	}
	for i, at := range times {
		bounds, err := l.Bounds(t.Context(), "a", at)
		require.NoError(t, err)
		require.LessOrEqual(t, bounds[0].At, int64(i))
	}
}
