package app

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/app/config"
	"eventserver/app/schema"
	"eventserver/destinations"
)

// output is a log destination's, read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

// started runs an App on cfg until the test ends.
func started(t *testing.T, cfg *config.Config, o Options) *App {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	a, err := New(ctx, cfg, o)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-ended) })
	select {
	case <-a.Ready():
	case err := <-ended:
		ended <- nil
		require.NoError(t, err)
	}
	return a
}

func parsed(t *testing.T, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test", []byte(yaml), config.Checks{Kinds: Options{}.checks(), Here: true})
	require.NoError(t, err)
	return cfg
}

// A program beside the server puts events on their cluster: they are judged, keyed
// by their schema, and delivered.
func TestStoreOnACluster(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	cfg := parsed(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: kafka, brokers: ['"+cluster.ListenAddrs()[0]+"']}\nschemas: {dir: ../schemas}\ndestinations: [{id: log, kind: log}]")
	out := &output{}
	started(t, cfg, Options{Stdout: out})
	s, err := OpenStore(t.Context(), cfg, Options{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()

	registry, err := schema.Load("../schemas")
	require.NoError(t, err)
	order, ok := registry.Lookup("order.placed")
	require.True(t, ok)
	now := time.Now()
	require.NoError(t, s.Put(t.Context(), destinations.Event{ID: "e1", Type: "order.placed", ReceivedAt: now, ContentType: "application/json", Data: order.Examples[0]}))
	err = s.Put(t.Context(), destinations.Event{ID: "e2", Type: "order.placed", ReceivedAt: now, Data: []byte(`{}`)})
	var v *schema.Violation
	require.True(t, errors.As(err, &v), err)
	assert.Equal(t, "required", v.Rule)
	require.Eventually(t, func() bool { return bytes.Contains([]byte(out.String()), []byte("event=e1 type=order.placed key=ada")) }, 20*time.Second, 10*time.Millisecond)
	assert.NotContains(t, out.String(), "e2")
}

// Whoever is in another process is told what to do instead.
func TestNoOtherProgramReachesTheServersBroker(t *testing.T) {
	t.Parallel()
	for kind, yaml := range map[string]string{"memory": "broker: {kind: memory}\ndestinations: []", "embedded": "destinations: []"} {
		cfg := parsed(t, yaml)
		_, err := OpenStore(t.Context(), cfg, Options{})
		assert.EqualError(t, err, "broker.kind: "+kind+" is in the server's own process, where no other program reaches it; post events to the server's http.addr, or use broker.kind: kafka")
		_, err = New(t.Context(), cfg, Options{HandleOnly: true})
		assert.EqualError(t, err, "broker.kind: "+kind+" is in the server's own process, where no other program reaches it; give the handlers to the server as one of its app.Options.Kinds, or use broker.kind: kafka")
	}
}

// What a program puts is held to the limits of what is posted.
func TestStoreKeepsTheLimitsOfTheFront(t *testing.T) {
	t.Parallel()
	out := &output{}
	a := started(t, parsed(t, "http: {addr: '127.0.0.1:0', max_event_bytes: 1KiB}\nbroker: {kind: memory}\ndestinations: [{id: log, kind: log}]"), Options{Stdout: out})
	put := func(change func(e *destinations.Event)) error {
		e := destinations.Event{ID: "e", Key: "k", Type: "t", ReceivedAt: time.Now(), ContentType: "application/json", Data: []byte(`{}`)}
		change(&e)
		return a.Put(t.Context(), e)
	}
	require.NoError(t, put(func(*destinations.Event) {}))
	for want, change := range map[string]func(e *destinations.Event){
		"id: must be at most 256 bytes":     func(e *destinations.Event) { e.ID = strings.Repeat("x", 900_000) },
		"id: holds the control character":   func(e *destinations.Event) { e.ID = "a\n" },
		"id: is not valid UTF-8":            func(e *destinations.Event) { e.ID = "a\xff" },
		"key: holds the control character":  func(e *destinations.Event) { e.Key = "k\r\nX: y" },
		"type: holds the control character": func(e *destinations.Event) { e.Type = "t\n" },
		"not valid JSON":                    func(e *destinations.Event) { e.Data = []byte(`{nope`) },
		"must be one JSON object":           func(e *destinations.Event) { e.Data = []byte(`[{}]`) },
		"more than the limit of 1024":       func(e *destinations.Event) { e.Data = []byte(`{"a":"` + strings.Repeat("x", 2000) + `"}`) },
	} {
		assert.ErrorContains(t, put(change), want)
	}
}

// A Go program that left the id out was told to leave it out.
func TestPutFillsInWhatIsMissing(t *testing.T) {
	t.Parallel()
	a := started(t, parsed(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\ndestinations: []"), Options{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	events := []destinations.Event{{Type: "t", Data: []byte(`{}`)}, {ID: "mine", Key: "k", Time: at, ContentType: "application/vnd.t+json", Data: []byte(`{"n":1}`)}}
	require.NoError(t, a.Put(t.Context(), events...))
	first, second := events[0], events[1]
	assert.Len(t, first.ID, 26)
	assert.Equal(t, first.ID, first.Key)
	assert.Equal(t, "application/json", first.ContentType)
	assert.WithinDuration(t, time.Now(), first.ReceivedAt, time.Minute)
	assert.Equal(t, first.ReceivedAt, first.Time)
	assert.Equal(t, []any{"mine", "k", at, "application/vnd.t+json"}, []any{second.ID, second.Key, second.Time, second.ContentType})
	assert.False(t, second.ReceivedAt.IsZero())
}
