package app

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/router/explain"
)

// jammed is a destination whose attempts end when the test does.
type jammed struct{ done <-chan struct{} }

func (jammed) ID() string { return "jammed" }

func (jammed) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{Body: e.Data}, nil
}

func (j jammed) Deliver(ctx context.Context, _ destinations.Delivery) error {
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A user whose first event is stuck has more events than one user may hold in memory.
// Those that were read past were left out of what `destinations ID` counts.
func TestBusyUserIsCounted(t *testing.T) {
	t.Parallel()
	const events = 60
	for _, broker := range []string{"{kind: memory, window_key: 4}", fmt.Sprintf("{kind: embedded, dir: %q, window_key: 4}", t.TempDir())} {
		done := make(chan struct{})
		o := Options{Kinds: []Kind{NewKind("jammed", func(string, struct{}) (destinations.Destination, error) { return jammed{done}, nil })}}
		cfg, err := config.Parse("test", []byte("http: {addr: '127.0.0.1:0'}\nbroker: "+broker+"\ndestinations: [{id: jammed, kind: jammed, timeout: 1m}]"), config.Checks{Kinds: o.checks(), Here: true})
		require.NoError(t, err)
		a := started(t, cfg, o)
		for i := range events {
			body := fmt.Sprintf(`{"id":"e%d","type":"t","key":"busy"}`, i)
			resp, err := http.Post("http://"+a.Addr()+"/v1/events", "application/json", strings.NewReader(body))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusAccepted, resp.StatusCode)
		}
		client := &admin.Client{BaseURL: "http://" + a.AdminAddr()}
		require.Eventually(t, func() bool {
			var d admin.DestinationState
			require.NoError(t, client.Get(t.Context(), "/v1/destinations/jammed", nil, &d))
			return len(d.Stuck) == 1 && d.Stuck[0].Key == "busy" && d.Stuck[0].Waiting == events-1
		}, 30*time.Second, 5*time.Millisecond, "all behind the first")
		var x explain.Explanation
		require.NoError(t, client.Get(t.Context(), fmt.Sprintf("/v1/events/e%d", events-1), nil, &x))
		require.Len(t, x.Destinations, 1)
		assert.EqualValues(t, events-1, x.Destinations[0].Ahead)
		close(done)
	}
}
