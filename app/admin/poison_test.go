package admin

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/router/poison"
)

// fakePoison remembers what it is asked.
type fakePoison struct {
	query   poison.Query
	show    string
	payload bool
	order   poison.Order
	by      string
	wait    time.Duration
}

func (f *fakePoison) List(_ context.Context, q poison.Query) (poison.Page, error) {
	f.query = q
	return poison.Page{Items: []poison.Item{{EventID: "e1"}}}, nil
}

func (f *fakePoison) Counts(_ context.Context, p poison.Filter) (poison.Counts, error) {
	f.query.Filter = p
	return poison.Counts{Count: 1}, nil
}

func (f *fakePoison) Show(_ context.Context, destination, item string, payload bool) (poison.Found, error) {
	f.show, f.payload = destination+"|"+item, payload
	return poison.Found{}, nil
}

func (f *fakePoison) Begin(_ context.Context, o poison.Order, by string) (poison.Run, error) {
	f.order, f.by = o, by
	if o.Destination == "busy" {
		return poison.Run{}, Conflict("another one is under way")
	}
	return poison.Run{ID: "r1", State: "running"}, nil
}

func (f *fakePoison) Run(_ context.Context, id string, wait time.Duration) (poison.Run, error) {
	f.wait = wait
	if id != "r1" {
		return poison.Run{}, NotFound("no run " + id)
	}
	return poison.Run{ID: id, State: "done"}, nil
}

func (f *fakePoison) Stop(_ context.Context, id string) (poison.Run, error) {
	return poison.Run{ID: id, State: "stopped"}, nil
}

// The client and the server have the same words, and roles hold.
func TestPoisonClientAndServer(t *testing.T) {
	f := &fakePoison{}
	s := started(t, Config{Tokens: []Token{token("ann", Read, "reads"), token("bo", Write, "writes")}, Poison: f, PoisonRuns: f})
	read := PoisonClient{&Client{BaseURL: s.url, Token: "reads"}}
	write := PoisonClient{&Client{BaseURL: s.url, Token: "writes"}}
	ctx := t.Context()
	filter := poison.Filter{Destination: "shop", Class: "receiver", Reason: "age", Type: "order.*", Key: "a b&c", EventID: "e/1", Position: "3:17", Since: "1h", Until: "2026-01-02T03:04:05Z"}

	page, err := read.List(ctx, poison.Query{Filter: filter, Limit: 7, After: "shop/3:4"})
	require.NoError(t, err)
	assert.Len(t, page.Items, 1)
	assert.Equal(t, poison.Query{Filter: filter, Limit: 7, After: "shop/3:4"}, f.query)
	_, err = read.Counts(ctx, filter)
	require.NoError(t, err)
	assert.Equal(t, filter, f.query.Filter)

	for destination, want := range map[string]string{"shop": "shop|a/b?c:d", "": "|a/b?c:d"} {
		_, err = read.Show(ctx, destination, "a/b?c:d", false)
		require.NoError(t, err)
		assert.Equal(t, want, f.show)
	}
	_, err = read.Show(ctx, "shop", "e1", true)
	assert.ErrorContains(t, err, "answered 403: payload: the token ann has role read, and this needs role write")
	_, err = write.Show(ctx, "shop", "e1", true)
	require.NoError(t, err)
	assert.True(t, f.payload)

	rate := 5.0
	order := poison.Order{Filter: filter, Action: "discard", DryRun: true, Limit: 3, Rate: &rate, Force: true, Again: true}
	_, err = read.Begin(ctx, order, "")
	assert.ErrorContains(t, err, "needs role write")
	run, err := write.Begin(ctx, order, "someone else")
	require.NoError(t, err)
	assert.Equal(t, "running", run.State)
	assert.Equal(t, order, f.order)
	assert.Equal(t, "bo", f.by, "who asks is known by the token")
	_, err = write.Begin(ctx, poison.Order{Filter: poison.Filter{Destination: "busy"}, Action: "redrive"}, "")
	assert.ErrorContains(t, err, "answered 409: another one is under way")
	run, err = read.Run(ctx, "r1", 3*time.Second)
	require.NoError(t, err)
	assert.Equal(t, "done", run.State)
	assert.Equal(t, 3*time.Second, f.wait)
	_, err = read.Run(ctx, "r2", 0)
	assert.ErrorContains(t, err, "answered 404: no run r2")
	_, err = read.Stop(ctx, "r1")
	assert.ErrorContains(t, err, "needs role write")
	run, err = write.Stop(ctx, "r1")
	require.NoError(t, err)
	assert.Equal(t, "stopped", run.State)

	for query, want := range map[string]string{"?reason=bad": "reason", "?limit=1001": "limit", "?nothing=1": "nothing"} {
		code, _, body := ask(t, http.MethodGet, s.url+"/v1/poison"+query, "", bearer("reads"))
		assert.GreaterOrEqual(t, code, 400, query)
		assert.Contains(t, body, want)
	}
}

func TestPoisonAbsent(t *testing.T) {
	s := started(t, Config{})
	c := PoisonClient{&Client{BaseURL: s.url}}
	_, err := c.List(t.Context(), poison.Query{})
	assert.ErrorContains(t, err, "this server has no poison queues to show")
	_, err = c.Begin(t.Context(), poison.Order{Action: "redrive"}, "")
	assert.ErrorContains(t, err, "this server has no poison queues to show")
}
