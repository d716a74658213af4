package local

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// impatient is a context that ends when somebody waits for its end.
type impatient struct {
	context.Context
	end context.CancelFunc
}

func (c impatient) Done() <-chan struct{} {
	c.end()
	return c.Context.Done()
}

// Few read Pebble at once: each held a block of 0.9 MB of each table of level 0, and
// all claims of six destinations that were down 180 MiB.
func TestFewScanAtOnce(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir()}
	l := open(t, cfg, "a")
	put(t, l, "a", 0, "x")
	require.NoError(t, l.Close()) // so that the tail has nothing
	l = open(t, cfg)
	for range maxScans {
		require.NoError(t, l.scans.enter(t.Context()))
	}
	late := func() context.Context {
		ctx, end := context.WithCancel(t.Context())
		return impatient{ctx, end}
	}
	c, err := l.Open(t.Context(), "a", 0, 0)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Read(late(), 1<<10)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = l.Bounds(late(), "a", time.Unix(0, 0))
	assert.ErrorIs(t, err, context.Canceled)

	l.scans.leave()
	rs, err := c.Read(t.Context(), 1<<10)
	require.NoError(t, err)
	assert.Equal(t, []string{"x"}, values(rs))
	bounds, err := l.Bounds(t.Context(), "a", time.Unix(0, 0))
	require.NoError(t, err)
	assert.EqualValues(t, 0, bounds[0].At)
}
