package send

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/app"
	"eventserver/app/config"
)

// What is put on a cluster is there, in order and as it was sent, and a fault names
// its line.
func TestSendToACluster(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	cfg, err := config.Parse("test", []byte("broker: {kind: kafka, brokers: ['"+cluster.ListenAddrs()[0]+"']}\nschemas: {dir: ../../../../schemas}\ndestinations: []"), config.Checks{Here: true})
	require.NoError(t, err)
	var ids []string
	c := Config{Broker: true, Type: "a.b", Key: "k", Batch: 2, Stored: func(got []string) error { ids = append(ids, got...); return nil }}
	stored, err := Run(t.Context(), cfg, app.Options{}, c, strings.NewReader(numbered(5)))
	require.NoError(t, err)
	assert.Equal(t, 5, stored)
	require.Len(t, ids, 5)

	var shown strings.Builder
	require.NoError(t, app.Tail(t.Context(), &shown, cfg, app.Options{}, app.TailConfig{From: "beginning", Key: "k", Count: 5}))
	for i, line := range strings.Split(strings.TrimSpace(shown.String()), "\n") {
		assert.Contains(t, line, " id="+ids[i]+` type=a.b key=k {"type":"a.b","key":"k","n":`+string(rune('1'+i))+"}")
	}

	_, err = Run(t.Context(), cfg, app.Options{}, Config{Broker: true}, strings.NewReader("{}\n{\"type\":\"order.placed\"}"))
	assert.ErrorContains(t, err, "line 2: order.placed v1: required: ")
	assert.ErrorContains(t, err, "; no event is stored")
	_, err = Run(t.Context(), cfg, app.Options{}, Config{Broker: true}, strings.NewReader("{\"time\":1}"))
	assert.EqualError(t, err, "line 1: time: must be a string, not a number; put it in quotes; no event is stored")
	_, err = Run(t.Context(), config.Default(), app.Options{}, Config{Broker: true}, strings.NewReader("{}"))
	assert.EqualError(t, err, "--broker: broker.kind: embedded is in the server's own process, where no other program reaches it; leave --broker out, so that events are posted to the server's http.addr, or use broker.kind: kafka")
}
