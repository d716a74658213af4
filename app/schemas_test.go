package app

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/app/config"
	"eventserver/destinations"
)

// catcher keeps what it is delivered.
type catcher struct {
	id  string
	got chan destinations.Delivery
}

func (c catcher) ID() string { return c.id }
func (c catcher) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}
func (c catcher) Deliver(_ context.Context, d destinations.Delivery) error { c.got <- d; return nil }

func catching(got chan destinations.Delivery) Kind {
	return NewKind("catch", func(id string, _ struct{}) (destinations.Destination, error) { return catcher{id, got}, nil })
}

// value is one series of a counter; -1: there is none.
func value(t *testing.T, reg *prometheus.Registry, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if want, ok := labels[l.GetName()]; ok && want != l.GetValue() {
					continue series
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return -1
}

func loadText(t *testing.T, yaml string, o Options) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eventserver.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	return Load(file, o)
}

// What another program has put on the topic is held against its schema before
// it is transformed, and what a transformation makes against the destination's:
// both go to the poison queue. With warn they pass, marked.
func TestSchemasBeforeAndAfterTheTransformation(t *testing.T) {
	t.Parallel()
	for mode, enforced := range map[string]bool{"enforce": true, "warn": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			got := make(chan destinations.Delivery, 10)
			reg := prometheus.NewRegistry()
			cfg, err := loadText(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\nschemas: {dir: ../schemas, mode: "+mode+"}\ndestinations:\n"+
				"  - {id: same, kind: catch}\n"+
				"  - {id: changed, kind: catch, schema: order.placed, transform: '{\"orderId\": event.data.orderId}'}\n", Options{Kinds: []Kind{catching(got)}})
			require.NoError(t, err)
			a := started(t, cfg, Options{Kinds: []Kind{catching(got)}, Registry: reg})
			foreign := Store{broker: a.broker, limit: 1 << 20} // knows no schemas
			now := time.Now()
			require.NoError(t, foreign.Put(t.Context(),
				destinations.Event{ID: "bad", Key: "k", Type: "order.placed", ReceivedAt: now, ContentType: "application/json", Data: []byte(`{"orderId":1}`)},
				destinations.Event{ID: "good", Key: "k", Type: "order.placed", ReceivedAt: now, ContentType: "application/json", Data: []byte(goodOrder)}))
			want := map[string]string{"bad:same": "order.placed v1: required", "good:same": "",
				"bad:changed": "order.placed v1: required", "good:changed": "order.placed v1: required"}
			if enforced {
				want = map[string]string{"good:same": ""}
			}
			for range want {
				select {
				case d := <-got:
					warning, ok := want[d.ID]
					assert.True(t, ok, "%s was delivered", d.ID)
					assert.Equal(t, warning, d.Payload.Headers["Event-Schema-Warning"], d.ID)
				case <-time.After(20 * time.Second):
					t.Fatal("not all came")
				}
			}
			poisoned := func(destination string) float64 {
				return value(t, reg, "eventserver_poisoned_total", map[string]string{"destination": destination, "reason": "schema"})
			}
			seen := func(stage string) float64 {
				return value(t, reg, "eventserver_schema_violations_total", map[string]string{"stage": stage, "type": "order.placed", "mode": mode})
			}
			wantSame, wantChanged, wantInput, wantOutput := 1., 2., 2., 1.
			if !enforced {
				wantSame, wantChanged, wantOutput = 0, 0, 2
			}
			require.Eventually(t, func() bool { return poisoned("same") == wantSame && poisoned("changed") == wantChanged }, 20*time.Second, 5*time.Millisecond)
			assert.Equal(t, wantInput, seen("input"))
			assert.Equal(t, wantOutput, seen("output"))
		})
	}
}

// Every fault of the schemas stops the start, with file and line.
func TestSchemaFaultsStopTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("x-event: {type: a, version: 1}\ndescription: A.\ntype: object\nproperties: {n: {type: intger}}\nexamples: [{}]\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.yaml"), []byte("x-event: {type: b}\ntype: object\n"), 0o600))
	_, err := loadText(t, "schemas: {dir: '"+dir+"'}\ndestinations: []", Options{})
	for _, want := range []string{filepath.Join(dir, "a.yaml") + ":4: /properties/n/type", filepath.Join(dir, "b.yaml") + ":1: /x-event", "version"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = loadText(t, "schemas: {dir: ../schemas, types: {order.plcaed: warn}}\ndestinations: [{id: a, kind: log, schema: order.paid}]", Options{})
	assert.ErrorContains(t, err, `:1: schemas.types["order.plcaed"]: there is no schema of type "order.plcaed" in ../schemas; did you mean "order.placed"?`)
	assert.ErrorContains(t, err, `:2: destinations[0].schema: there is no schema of type "order.paid" in ../schemas; did you mean "order.placed"?`)
	_, err = loadText(t, "destinations: [{id: a, kind: log, schema: order.placed}]", Options{})
	assert.ErrorContains(t, err, "destinations[0].schema: needs schemas")
	_, err = loadText(t, "schemas: {types: {a: strict}}\nhttp: {metadata_headers: [Cookie, 'a b']}\ndestinations: []", Options{})
	for _, want := range []string{`"strict" is no mode`, "Cookie holds a secret", `"a b" is no name of a header`} {
		assert.ErrorContains(t, err, want)
	}
}
