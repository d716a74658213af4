package main

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventserver/app"
	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest"
	"eventserver/infra/pubsub"
)

// opened opens a log in a directory.
func opened(t *testing.T, dir, secret string) infra.Log {
	t.Helper()
	l, err := open(t.Context(), app.BrokerConfig{Dir: dir, Partitions: 4, RecordBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)}, Config{Secret: destinations.Secret(secret)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef"

// The conformance tests that every broker has to pass.
func TestContract(t *testing.T) {
	var dirs sync.Map // by log
	fresh := func(t *testing.T, dir string) infra.Log {
		l := opened(t, dir, secret)
		dirs.Store(l, dir)
		return l
	}
	brokertest.RunLog(t, func(t *testing.T) infra.Log { return fresh(t, t.TempDir()) }, brokertest.LogOptions{
		Partitions: 4,
		Reopen: func(t *testing.T, l infra.Log) infra.Log {
			require.NoError(t, l.Close())
			dir, _ := dirs.Load(l)
			return fresh(t, dir.(string))
		},
	})
}

func TestConformance(t *testing.T) {
	const window = 20
	brokertest.Run(t, func(t *testing.T) infra.Broker {
		b, err := pubsub.New(opened(t, t.TempDir(), secret), pubsub.Config{WindowMessages: window, WindowKey: window, ReleaseTimeout: time.Second})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, b.Close()) })
		return b
	}, brokertest.Options{Partitions: 4, Window: window, MaxMessageBytes: 1 << 20, Whole: true})
}

// Records of another secret are damage, and those behind them are read.
func TestOtherSecret(t *testing.T) {
	dir := t.TempDir()
	put := func(l infra.Log, value string) {
		t.Helper()
		require.NoError(t, l.CreateTopics(t.Context(), infra.Topic{Name: "t"}))
		require.NoError(t, l.Append(t.Context(), infra.Batch{Records: []*infra.Record{{Topic: "t", Key: []byte("k"), Value: []byte(value)}}}))
	}
	l := opened(t, dir, secret)
	put(l, "old")
	require.NoError(t, l.Close())
	l = opened(t, dir, strings.ToUpper(secret))
	put(l, "new")
	c, err := l.Open(t.Context(), "t", 0, 0)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Read(t.Context(), 1000)
	var d *infra.DamageError
	require.ErrorAs(t, err, &d)
	assert.Equal(t, infra.Span{To: 1}, d.Offsets)
	records, err := c.Read(t.Context(), 1000)
	require.NoError(t, err)
	require.Len(t, records, 1)
	assert.Equal(t, "new", string(records[0].Value))
}

// got is a destination that hands over what it is given.
type got struct{ payloads chan string }

func (got) ID() string { return "got" }
func (got) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{Body: e.Data}, nil
}
func (g got) Deliver(_ context.Context, d destinations.Delivery) error {
	g.payloads <- string(d.Payload.Body)
	return nil
}

// An event goes through a server on the broker, and its payload is nowhere on the disk.
func TestServer(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "eventserver.yaml")
	text := "http: {addr: '127.0.0.1:0'}\nadmin: {addr: 'off'}\nbroker: {kind: sealed, dir: " + dir + "/data, secret: " + secret + "}\ndestinations: [{id: got, kind: got}]\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	payloads := make(chan string, 1)
	o := app.Options{
		Brokers: []app.BrokerKind{app.NewBroker("sealed", open)},
		Kinds:   []app.Kind{app.NewKind("got", func(string, struct{}) (destinations.Destination, error) { return got{payloads}, nil })},
	}
	cfg, err := app.Load(file, o)
	require.NoError(t, err)
	a, err := app.New(t.Context(), cfg, o)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	<-a.Ready()
	resp, err := http.Post("http://"+a.Addr()+"/v1/events", "application/json", strings.NewReader(`{"type":"order.placed","key":"ada","data":"canary"}`))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	assert.Contains(t, <-payloads, "canary")
	stop()
	require.NoError(t, <-ended)
	files := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		assert.False(t, bytes.Contains(content, []byte("canary")), path)
		files++
		return err
	}))
	assert.Positive(t, files)
}

// The faults of the kind's own keys are listed with all others.
func TestFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "eventserver.yaml")
	load := func(broker string) error {
		require.NoError(t, os.WriteFile(file, []byte("broker: "+broker+"\ndestinations: []\n"), 0o600))
		_, err := app.Load(file, app.Options{Brokers: []app.BrokerKind{app.NewBroker("sealed", open)}})
		return err
	}
	require.NoError(t, load("{kind: sealed, secret: "+secret+"}"))
	err := load("{kind: sealed, secret: canary, partition: 3}")
	require.ErrorContains(t, err, "broker.secret: is shorter than 16 characters")
	require.ErrorContains(t, err, `broker.partition: unknown key; did you mean "partitions"?`)
	assert.NotContains(t, err.Error(), "canary")
	require.ErrorContains(t, load("{kind: sealed}"), "broker.secret: missing; give secret")
	require.ErrorContains(t, load("{kind: seald}"), "is not one of embedded, memory, kafka, sealed; did you mean")
	require.ErrorContains(t, load("{kind: memory, secret: x}"), "broker.secret: unknown key")
}
