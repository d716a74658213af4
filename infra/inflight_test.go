package infra

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A drain that begins while messages come and go ends when the last is settled, and
// none is handed out behind it.
func TestInFlight(t *testing.T) {
	t.Parallel()
	for range 200 {
		f := NewInFlight()
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for f.Begin() {
					select {
					case <-f.idle:
						assert.Fail(t, "idle with a message in flight")
					default:
					}
					f.End()
				}
			})
		}
		require.False(t, f.Drained())
		f.Drain()
		f.Drain()
		require.NoError(t, f.Wait(t.Context(), nil))
		assert.True(t, f.Drained())
		assert.False(t, f.Begin())
		<-f.Draining()
		workers.Wait()
	}
	f := NewInFlight()
	require.True(t, f.Begin())
	f.Drain()
	ended := make(chan struct{})
	close(ended)
	require.NoError(t, f.Wait(t.Context(), ended), "the subscription has ended")
	f.End()
	require.NoError(t, f.Wait(t.Context(), nil))
}
