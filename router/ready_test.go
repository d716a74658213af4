package router

import (
	"eventserver/router/record"
	"eventserver/router/routertest"
	"testing"

	"github.com/stretchr/testify/require"
)

// A rebalance takes no process out of its load balancer: it stores events all the
// while. Until a destination has been given partitions once, it is not ready.
func TestReadinessIsLatched(t *testing.T) {
	dest := func(id string) Destination { return Destination{Destination: &routertest.FuncDest{Name: id}} }
	r := newRig(t, dest("a"), dest("b"))
	of := r.broker.subs[record.DeliverGroup("b")]
	of.Away.Store(true)
	require.ErrorContains(t, r.pipeline.Ready(), "destination b has no partitions assigned yet")
	of.Away.Store(false)
	require.NoError(t, r.pipeline.Ready())
	of.Away.Store(true)
	require.NoError(t, r.pipeline.Ready())
}
