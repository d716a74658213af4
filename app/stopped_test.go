package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/router/explain"
	"eventserver/router/poison"
)

// filesOf are the digests and modes of all files below dir.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = fmt.Sprintf("%s %x", info.Mode(), sha256.Sum256(data))
		return err
	}))
	return all
}

// What a stopped server has left in its directory is shown as the running one
// showed it, and stays as it is; to discard opens it for a change, and to redrive
// needs the server.
func TestStoppedServersDirectory(t *testing.T) {
	t.Parallel()
	o := Options{Stdout: &output{}, Kinds: []Kind{NewKind("refuser", func(string, struct{}) (destinations.Destination, error) { return refuser{}, nil })}}
	dir := filepath.Join(t.TempDir(), "data")
	cfg, err := config.Parse("test", []byte("http: {addr: '127.0.0.1:0'}\nbroker: {dir: '"+dir+"', partitions: 4, topic_prefix: p.}\n"+
		"destinations: [{id: log, kind: log}, {id: bad, kind: refuser, types: ['bad.*']}]"), config.Checks{Kinds: o.checks(), Here: true})
	require.NoError(t, err)
	look := func(c TailConfig) string {
		var out bytes.Buffer
		require.NoError(t, Tail(t.Context(), &out, cfg, o, c))
		return out.String()
	}
	open := func(use PoisonUse) *Poison {
		p, err := OpenPoison(t.Context(), cfg, o, use)
		require.NoError(t, err)
		return p
	}
	_, err = OpenPoison(t.Context(), cfg, o, PoisonDiscard)
	require.EqualError(t, err, "broker.dir: no server has stored anything in "+dir)
	assert.NoDirExists(t, dir, "only a server makes it")

	ctx, stop := context.WithCancel(t.Context())
	a, err := New(ctx, cfg, o)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	<-a.Ready()
	for n := range 6 {
		typ := []string{"good.one", "bad.one"}[n%2]
		require.NoError(t, a.Put(t.Context(), destinations.Event{ID: fmt.Sprint("e", n), Type: typ, Key: fmt.Sprint("u", n), ReceivedAt: time.Now(), ContentType: "application/json", Data: []byte(`{}`)}))
	}
	committed(t, a)
	running := admin.PoisonClient{Client: &admin.Client{BaseURL: "http://" + a.AdminAddr()}}
	list, err := running.List(t.Context(), poison.Query{Limit: 10})
	require.NoError(t, err)
	require.Len(t, list.Items, 3)
	shown := tailOf(a).lines(t, TailConfig{From: "beginning", JSON: true, Key: "u1"}, 1)
	for _, use := range []PoisonUse{PoisonLook, PoisonDiscard} {
		_, err = OpenPoison(t.Context(), cfg, o, use)
		assert.EqualError(t, err, "broker.dir: a server runs on "+dir+", and its admin API is the only way to it: see admin.addr")
	}
	stop()
	require.NoError(t, <-ended)

	before := filesOf(t, dir)
	p := open(PoisonLook)
	same, err := p.List(t.Context(), poison.Query{Limit: 10})
	require.NoError(t, err)
	assert.Equal(t, list, same)
	found, err := p.Show(t.Context(), "", "e1", true)
	require.NoError(t, err)
	assert.Equal(t, "permanent", found.Records[0].Reason)
	run, err := p.Begin(t.Context(), poison.Order{Action: "discard", All: true, DryRun: true}, "test")
	require.NoError(t, err)
	assert.Equal(t, 3, run.Discarded)
	require.NoError(t, p.Close())
	assert.Equal(t, shown[0]+"\n", look(TailConfig{From: "beginning", JSON: true, Key: "u1"}))
	assert.Equal(t, 6, strings.Count(look(TailConfig{From: "1h"}), " events/"), "the topic's own name: nobody else is there")
	assert.Equal(t, 2, strings.Count(look(TailConfig{From: "1h", Destination: "log", Count: 2}), "\n"))
	assert.EqualError(t, Tail(t.Context(), &bytes.Buffer{}, cfg, o, TailConfig{}),
		"broker.dir: no server runs on "+dir+", so nothing comes after the end; start eventserver, or give --from beginning for what is stored")
	x, err := Explain(t.Context(), cfg, o, explain.Question{ID: "e1"})
	require.NoError(t, err)
	assert.Equal(t, [2]string{explain.StateDelivered, explain.StatePoisoned}, [2]string{x.Destinations[0].State, x.Destinations[1].State}, "%+v", x)
	states, err := LookAtDestinations(t.Context(), cfg, o)
	require.NoError(t, err)
	assert.EqualValues(t, 3, *states[1].Poison)
	assert.Equal(t, before, filesOf(t, dir))

	_, err = OpenPoison(t.Context(), cfg, o, PoisonRedrive)
	assert.EqualError(t, err, "broker.kind: embedded is in the server's own process, which alone sends events on again; start eventserver with its admin API first")
	p = open(PoisonDiscard)
	run, err = p.Begin(t.Context(), poison.Order{Action: "discard", Filter: poison.Filter{EventID: "e1"}}, "test")
	require.NoError(t, err)
	assert.Equal(t, [2]any{"done", 1}, [2]any{run.State, run.Discarded})
	require.NoError(t, p.Close())
	a = started(t, cfg, o)
	running.BaseURL = "http://" + a.AdminAddr()
	counts, err := running.Counts(t.Context(), poison.Filter{})
	require.NoError(t, err)
	assert.Equal(t, 2, counts.Count, "the server knows of it")
	found, err = running.Show(t.Context(), "bad", "e1", true)
	require.NoError(t, err)
	require.NotNil(t, found.Records[0].Settled)
	assert.Equal(t, "test", found.Records[0].Settled.By)
}
