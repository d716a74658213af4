package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/app/ingest"
	"eventserver/app/schema"
	"eventserver/destinations"
	"eventserver/router/poison"
)

// slowSchemas is a directory with a type whose check takes some 8 steps for each
// byte of a text.
func slowSchemas(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text := "x-event: {type: slow, version: 1}\ndescription: A text.\ntype: object\nproperties: {a: {pattern: \"^(a?b?c?d?e?f?)+$\"}}\nexamples: [{a: ab}]\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slow.yaml"), []byte(text), 0o600))
	return dir
}

func slowEvent(bytes int) string {
	return `{"type":"slow","a":"` + strings.Repeat("ab", bytes/2) + `"}`
}

const tooSlow = "slow v1: schema.cost: the check of the event against its schema takes more than 20000 steps; " +
	"send a smaller event, simplify the schema, or raise schemas.max_cost"

// An event whose check takes more steps than it may is refused with 400 when it is
// posted, and goes to the poison queue where another program has put it on the
// topic. The answer and the reason name the type, the limit and what to do.
func TestSchemaCost(t *testing.T) {
	t.Parallel()
	got := make(chan destinations.Delivery, 10)
	reg := prometheus.NewRegistry()
	o := Options{Kinds: []Kind{catching(got)}, Registry: reg}
	cfg, err := loadText(t, "http: {addr: '127.0.0.1:0'}\nadmin: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\n"+
		"schemas: {dir: '"+slowSchemas(t)+"', max_cost: 20000}\ndestinations: [{id: d, kind: catch}]\n", o)
	require.NoError(t, err)
	a := started(t, cfg, o)
	post := func(body string) (int, ingest.Problem) {
		resp, err := http.Post("http://"+a.Addr()+"/v1/events", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		var p ingest.Problem
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&p))
		return resp.StatusCode, p
	}
	status, _ := post(slowEvent(1000))
	assert.Equal(t, http.StatusAccepted, status)
	status, p := post(slowEvent(10_000))
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Equal(t, []string{tooSlow, "slow", schema.RuleCost}, []string{p.Detail, p.EventType, p.Rule})
	status, p = post("[" + slowEvent(1000) + "," + slowEvent(10_000) + "]")
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Equal(t, "[1]: "+tooSlow, p.Detail)
	status, p = post("[" + strings.Repeat(slowEvent(1000)+",", 99) + slowEvent(1000) + "]")
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, p.Detail, "schema.cost: the checks of the events of this request take more than 200000 steps together; send fewer in one request")

	foreign := Store{broker: a.broker, limit: 1 << 20} // knows no schemas
	require.NoError(t, foreign.Put(t.Context(), destinations.Event{ID: "bad", Key: "k", Type: "slow", ReceivedAt: time.Now(), ContentType: "application/json", Data: []byte(strings.Replace(slowEvent(10_000), `"type":"slow",`, "", 1))}))
	require.Eventually(t, func() bool {
		return value(t, reg, "eventserver_poisoned_total", map[string]string{"destination": "d", "reason": "schema"}) == 1
	}, 20*time.Second, 5*time.Millisecond)
	page, err := a.poison.List(t.Context(), poison.Query{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	assert.Equal(t, []string{"bad", "schema", tooSlow}, []string{page.Items[0].EventID, page.Items[0].Reason, page.Items[0].Detail})
}

// A client that is gone ends the check of its event; nothing is counted as a
// violation, and no event is given up.
func TestSchemaCheckEndsWithItsClient(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	cfg, err := loadText(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\nschemas: {dir: '"+slowSchemas(t)+"'}\ndestinations: []\n", Options{})
	require.NoError(t, err)
	a := started(t, cfg, Options{Registry: reg})
	gone, leave := context.WithCancel(t.Context())
	leave()
	event := []byte(slowEvent(200_000))
	v, refused, err := a.judge.Check(gone, "slow", event, nil)
	assert.Nil(t, v)
	assert.False(t, refused)
	require.ErrorIs(t, err, context.Canceled)
	_, err = a.contract.at(stageInput)(gone, "slow", event)
	require.ErrorIs(t, err, context.Canceled)

	for _, stage := range []string{stageIngest, stageInput} {
		assert.Zero(t, value(t, reg, "eventserver_schema_violations_total", map[string]string{"stage": stage, "type": "slow", "mode": "enforce"}))
	}
}

// There was a line for each place of each schema.
func TestManyDoubtfulSchemasAreOneLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		text := "x-event: {type: " + name + ", version: 1}\ndescription: A text.\ntype: object\nproperties: {a: {pattern: \"^(a?b?){600}$\"}}\nexamples: [{}]\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600))
	}
	r, err := schema.Load(dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(r.Warnings()), 3)
	p, err := schema.NewPolicy(schema.PolicyConfig{Registry: r, Mode: schema.Mode("enforce")})
	require.NoError(t, err)
	var out strings.Builder
	warnOf(p, slog.New(slog.NewTextHandler(&out, nil)))
	assert.Equal(t, 1, strings.Count(out.String(), "\n"), out.String())
}
