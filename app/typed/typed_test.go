package typed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"eventserver/app"
	"eventserver/app/schema"
	"eventserver/app/typed"
	"eventserver/destinations"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// counted is JSON as it is.
type counted struct {
	User string `json:"user"`
	N    int    `json:"n"`
}

func (counted) EventType() string { return "counted" }

// celsius looks otherwise than its event, which says it in Fahrenheit.
type celsius float64

func codecs(t *testing.T) *typed.Codecs {
	t.Helper()
	all, err := typed.NewCodecs(typed.JSON[counted](), typed.NewCodec("measured",
		func(c celsius) ([]byte, error) { return fmt.Appendf(nil, `{"fahrenheit":%g}`, float64(c)*9/5+32), nil },
		func(data []byte) (celsius, error) {
			var v struct{ Fahrenheit float64 }
			err := json.Unmarshal(data, &v)
			return celsius((v.Fahrenheit - 32) * 5 / 9), err
		}))
	require.NoError(t, err)
	return all
}

const countedSchema = `x-event: {type: counted, version: 1, key: /user}
description: Somebody has counted on.
type: object
additionalProperties: false
required: [user, n]
properties:
  user: {type: string, minLength: 1}
  n: {type: integer, minimum: 0}
examples:
  - {user: ada, n: 1}
`

// dirs makes a directory with a schema and a configuration.
func config(t *testing.T, rest string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "schemas"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "schemas", "counted.yaml"), []byte(countedSchema), 0o600))
	file := filepath.Join(dir, "eventserver.yaml")
	require.NoError(t, os.WriteFile(file, []byte("schemas: {dir: '"+dir+"/schemas'}\n"+strings.ReplaceAll(rest, "DIR", dir)), 0o600))
	return file
}

// running is an App that ends with the test.
func running(t *testing.T, file string, o app.Options) *app.App {
	t.Helper()
	cfg, err := app.Load(file, o)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.New(ctx, cfg, o)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-ended) })
	<-a.Ready()
	return a
}

const timeout = 30 * time.Second

// A program produces its own types and handles them, in order per key, with
// retries; what its schema refuses is not stored.
func TestProduceAndHandle(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	got := map[string][]int{}
	failed := map[string]bool{}
	measured := make(chan celsius, 1)
	all := make(chan struct{}, 1000)
	h := typed.Handlers{Codecs: codecs(t), Handlers: []typed.Handler{
		typed.Handle(func(ctx context.Context, c counted) error {
			d, ok := typed.Delivery(ctx)
			if !ok || d.Key != c.User {
				t.Errorf("delivery %+v %v", d, ok)
			}
			mu.Lock()
			defer mu.Unlock()
			if id := d.EventID; c.N%7 == 3 && !failed[id] { // once
				failed[id] = true
				return errors.New("not now")
			}
			got[c.User] = append(got[c.User], c.N)
			all <- struct{}{}
			return nil
		}),
		typed.Handle(func(_ context.Context, c celsius) error { measured <- c; return nil }),
	}}
	a := running(t, config(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\ndestinations:\n  - {id: own, kind: handler, retry: {initial: 1ms}}\n"),
		app.Options{Kinds: []app.Kind{typed.Kind(h)}})
	p, err := typed.NewProducer(typed.ProducerConfig{Store: a, Codecs: h.Codecs, Source: "test"})
	require.NoError(t, err)
	const users, each = 5, 20
	for n := range each {
		for u := range users {
			_, err := p.Publish(t.Context(), counted{User: "u" + strconv.Itoa(u), N: n})
			require.NoError(t, err)
		}
	}
	for range users * each {
		select {
		case <-all:
		case <-time.After(timeout):
			t.Fatal("not all came")
		}
	}
	for u := range users {
		for n, v := range got["u"+strconv.Itoa(u)] {
			assert.Equal(t, n, v, "user %d", u)
		}
	}
	id, err := p.Publish(t.Context(), celsius(100), typed.WithID("m1"), typed.WithKey("k"))
	require.NoError(t, err)
	assert.Equal(t, "m1", id)
	assert.Equal(t, celsius(100), <-measured)

	_, err = p.Publish(t.Context(), counted{User: "", N: -1})
	var v *schema.Violation
	require.ErrorAs(t, err, &v)
	assert.Equal(t, "/user", v.Pointer)
	_, err = p.Publish(t.Context(), 17)
	assert.ErrorContains(t, err, "there is no codec for int")
}

// What a handler publishes carries on the trace of the event that it handles.
func TestMetadataGoesOn(t *testing.T) {
	t.Parallel()
	var p *typed.Producer
	seen := make(chan map[string]string, 1)
	h := typed.Handlers{Codecs: codecs(t), Handlers: []typed.Handler{
		typed.Handle(func(ctx context.Context, c counted) error {
			_, err := p.Publish(ctx, celsius(c.N))
			return err
		}),
		typed.Handle(func(ctx context.Context, _ celsius) error {
			d, _ := typed.Delivery(ctx)
			seen <- d.Metadata
			return nil
		}),
	}}
	a := running(t, config(t, "http: {addr: '127.0.0.1:0', metadata_headers: [X-Tenant]}\nbroker: {kind: memory}\ndestinations: [{id: own, kind: handler}]\n"),
		app.Options{Kinds: []app.Kind{typed.Kind(h)}})
	var err error
	p, err = typed.NewProducer(typed.ProducerConfig{Store: a, Codecs: h.Codecs})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.Addr()+"/v1/events", strings.NewReader(`{"type":"counted","user":"ada","n":3}`))
	require.NoError(t, err)
	for name, value := range map[string]string{"Content-Type": "application/json", "X-Tenant": "t1", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-Secret": "s"} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	http.DefaultClient.CloseIdleConnections()
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	select {
	case md := <-seen:
		assert.Equal(t, map[string]string{"x-tenant": "t1", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, md)
	case <-time.After(timeout):
		t.Fatal("nothing came")
	}
}

// A program that only handles works on the cluster of a server in another
// process: here, of another App. It stops without losing its place.
func TestStart(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	broker := "kind: kafka, brokers: ['" + cluster.ListenAddrs()[0] + "']"
	file := config(t, "http: {addr: '127.0.0.1:0'}\nbroker: {"+broker+"}\ndestinations: []\n")
	server := running(t, file, app.Options{})
	consumer := filepath.Join(filepath.Dir(file), "consumer.yaml")
	dir := filepath.Dir(file)
	require.NoError(t, os.WriteFile(consumer, []byte("broker: {"+broker+", instance_id: billing}\nschemas: {dir: '"+dir+"/schemas'}\ndestinations: [{id: billing, kind: handler, retry: {attempts: 2, initial: 1ms}}]\n"), 0o600))

	p, err := typed.NewProducer(typed.ProducerConfig{Store: server, Codecs: codecs(t)})
	require.NoError(t, err)
	publish := func(n int) {
		_, err := p.Publish(t.Context(), counted{User: "ada", N: n})
		require.NoError(t, err)
	}
	got := make(chan int, 100)
	start := func() (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			ended <- typed.Start(ctx, consumer, typed.Handlers{Codecs: codecs(t), Handlers: []typed.Handler{
				typed.Handle(func(_ context.Context, c counted) error {
					if c.N == 2 {
						return destinations.Permanent(errors.New("never"))
					}
					got <- c.N
					return nil
				})}}, app.Options{})
		}()
		return func() { cancel(); assert.NoError(t, <-ended) }
	}
	next := func(want int) {
		t.Helper()
		select {
		case n := <-got:
			assert.Equal(t, want, n)
		case <-time.After(timeout):
			t.Fatalf("%d did not come", want)
		}
	}
	publish(0)
	publish(1)
	publish(2) // to the poison queue
	publish(3)
	stop := start()
	next(0)
	next(1)
	next(3)
	stop()
	publish(4)
	stop = start()
	next(4)
	stop()
	assert.Empty(t, got)
}

func TestFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := typed.NewCodecs(typed.JSON[counted](), typed.JSON[counted](), typed.NewCodec[int]("n", nil, nil))
	for _, want := range []string{"two codecs are of events of type counted", "two codecs are for typed_test.counted", "the codec of n lacks a function"} {
		assert.ErrorContains(t, err, want)
	}
	one := typed.Handle(func(context.Context, counted) error { return nil })
	_, err = typed.NewDestination("d", typed.Handlers{Codecs: codecs(t), Handlers: []typed.Handler{one, one, typed.Handle[int](nil), typed.Handle[celsius](nil)}})
	for _, want := range []string{"counted has two handlers", "there is no codec for int", "the handler of measured is nil"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = typed.NewDestination("d", typed.Handlers{Codecs: codecs(t)})
	assert.ErrorContains(t, err, "there is no handler")
	_, err = typed.NewProducer(typed.ProducerConfig{})
	assert.ErrorContains(t, err, "needs a Store and Codecs")
	assert.ErrorContains(t, typed.Start(t.Context(), "", typed.Handlers{}, app.Options{}), "need Codecs")
}

// No other process reaches the broker of a server, unless it is a cluster.
func TestStartNeedsACluster(t *testing.T) {
	t.Parallel()
	for _, broker := range []string{"{kind: memory}", "{dir: 'DIR/data'}"} {
		file := config(t, "broker: "+broker+"\ndestinations: [{id: m, kind: handler, concurrency: -1}]\n")
		err := typed.Start(t.Context(), file, typed.Handlers{Codecs: codecs(t), Handlers: []typed.Handler{
			typed.Handle(func(context.Context, counted) error { return nil })}}, app.Options{})
		assert.ErrorContains(t, err, "is in the server's own process, where no other program reaches it; give the handlers to the server as one of its app.Options.Kinds, or use broker.kind: kafka")
		assert.ErrorContains(t, err, "concurrency", "the file's other faults are told with it")
	}
}

// hidden has no field that JSON can have, and picky reads itself.
type (
	hidden struct{ n int }
	picky  struct{ n int }
)

func (hidden) EventType() string { return "hidden" }
func (picky) EventType() string  { return "picky" }

func (p *picky) UnmarshalJSON([]byte) error { return fmt.Errorf("%d is missing", p.n) }

// A type that can read no event is told at the start. Each event went to the
// poison queue.
func TestTypesThatReadNothing(t *testing.T) {
	t.Parallel()
	_, err := typed.NewCodecs(typed.JSON[hidden](), typed.JSON[picky]())
	require.ErrorContains(t, err, "codecs[0]: typed_test.hidden cannot be read from JSON")
	assert.NotContains(t, err.Error(), "codecs[1]")
	assert.Zero(t, hidden{}.n)
}

func TestPointersAndTextsThatAreNoUTF8(t *testing.T) {
	t.Parallel()
	_, err := typed.NewCodecs(typed.JSON[*counted](), typed.JSON[typed.Event]())
	assert.ErrorContains(t, err, "*typed_test.counted is a pointer or an interface; use the struct itself")
	assert.ErrorContains(t, err, "typed.Event is a pointer or an interface")
	kept := &kept{}
	p, err := typed.NewProducer(typed.ProducerConfig{Store: kept, Codecs: codecs(t)})
	require.NoError(t, err)
	_, err = p.Publish(t.Context(), &counted{User: "ada"})
	require.NoError(t, err)
	_, err = p.Publish(t.Context(), (*counted)(nil))
	assert.ErrorContains(t, err, "a nil *typed_test.counted")
	for user, ok := range map[string]bool{"a\xffb": false, "a\ufffdb": true, `a\ufffdb`: true, "\\\xff": false} {
		id, err := p.Publish(t.Context(), counted{User: user})
		assert.Equal(t, ok, err == nil, "%q: %v", user, err)
		assert.Equal(t, ok, id != "", "%q has id %s", user, id)
	}
}

type kept struct{ events []destinations.Event }

func (k *kept) Put(_ context.Context, e ...destinations.Event) error {
	k.events = append(k.events, e...)
	return nil
}
