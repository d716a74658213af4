package router

import (
	"eventserver/router/record"
	"testing"

	"github.com/stretchr/testify/require"
)

// A rebalance takes no process out of its load balancer: it stores events all the
// while. Until a destination has been given partitions once, it is not ready.
func TestReadinessIsLatched(t *testing.T) {
	dest := func(id string) Destination { return Destination{Destination: &funcDest{id: id}} }
	r := newRig(t, dest("a"), dest("b"))
	of := r.broker.subs[record.DeliverGroup("b")]
	of.away.Store(true)
	require.ErrorContains(t, r.pipeline.Ready(), "destination b has no partitions assigned yet")
	of.away.Store(false)
	require.NoError(t, r.pipeline.Ready())
	of.away.Store(true)
	require.NoError(t, r.pipeline.Ready())
}
