package app

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/router"
	"eventserver/router/control"
	"eventserver/router/record"
)

// A replay whose server was killed in the middle is shown at the next start and
// ended by it; what came meanwhile is transformed then.
func TestReplayCutShort(t *testing.T) {
	got := make(chan destinations.Delivery, 10)
	kind := NewKind("got", func(id string, _ struct{}) (destinations.Destination, error) { return gotten{id, got}, nil })
	o := Options{Kinds: []Kind{kind}}
	text := "http: {addr: '127.0.0.1:0'}\nadmin: {addr: 'off'}\nbroker: {dir: '" + t.TempDir() + "', partitions: 2}\ndestinations: [{id: d, kind: got}]"
	start := func() (*App, func()) {
		cfg, err := config.Parse("test", []byte(text), config.Checks{Kinds: o.checks(), Here: true})
		require.NoError(t, err)
		a, err := New(t.Context(), cfg, o)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		<-a.Ready()
		return a, func() { stop(); require.NoError(t, <-ended) }
	}
	a, stop := start()
	_, err := a.control.Put(t.Context(), control.Record{Kind: control.Replay, Destination: "d", On: true, By: "ada"})
	require.NoError(t, err)
	require.Equal(t, router.StateReplaying, settled(a, router.StateReplaying))
	require.Eventually(t, func() bool {
		members, err := a.broker.Members(t.Context(), record.TransformGroup("d"))
		return err == nil && len(members) == 0
	}, 20*time.Second, 10*time.Millisecond, "the instance does not leave the group")
	require.NoError(t, a.Put(t.Context(), destinations.Event{ID: "e1", Key: "ada", Data: []byte("{}")}))
	stop()
	require.Empty(t, got, "the stage was not held")
	a, stop = start()
	defer stop()
	require.Equal(t, router.StateRunning, settled(a, router.StateRunning))
	select {
	case d := <-got:
		require.Equal(t, "e1", d.EventID)
	case <-time.After(20 * time.Second):
		t.Fatal("the event of meanwhile did not come")
	}
	r, _ := a.control.Last(control.Replay, "d")
	require.False(t, r.On)
	require.Equal(t, "restart", r.By)
}

// settled waits for a state of the one destination.
func settled(a *App, want string) string {
	deadline := time.After(20 * time.Second)
	for {
		s := a.Destinations()[0]
		if s.State == want {
			return want
		}
		select {
		case <-deadline:
			return s.State
		case <-time.After(5 * time.Millisecond):
		}
	}
}

type gotten struct {
	id  string
	got chan destinations.Delivery
}

func (g gotten) ID() string { return g.id }
func (g gotten) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{Body: e.Data}, nil
}
func (g gotten) Deliver(_ context.Context, d destinations.Delivery) error { g.got <- d; return nil }
