package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eventserver/app"
	"eventserver/app/config"
	"eventserver/destinations"
)

// echoConfig is what a test's kind can be told.
type echoConfig struct {
	Token destinations.Secret `yaml:"token" doc:"Something that differs."`
	Bad   bool                `yaml:"bad" doc:"It cannot be built."`
}

// echo is a destination that tells by which configuration it was built.
type echo struct {
	*probe
	cfg    echoConfig
	closed func()
}

func (e *echo) Deliver(ctx context.Context, d destinations.Delivery) error {
	d.Payload.ContentType = string(e.cfg.Token)
	return e.probe.Deliver(ctx, d)
}

func (e *echo) Close() error { e.closed(); return nil }

// reloading is an app whose configuration is a text.
type reloading struct {
	*testing.T
	app  *app.App
	url  string
	log  bytes.Buffer
	opts app.Options
	stop func()

	mu      sync.Mutex
	text    string
	slow    func() // called once, when the text has been read; nil: nothing
	broker  string
	closing func() // called when one is closed; nil: nothing
	probes  map[string]*probe
	built   map[string]int
	closed  map[string]int
}

func (r *reloading) kind() app.Kind {
	return app.NewKind("echo", func(id string, c echoConfig) (destinations.Destination, error) {
		if c.Bad {
			return nil, errors.New("it is bad")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.built[id]++
		if r.probes[id] == nil {
			r.probes[id] = newProbe(id)
		}
		return &echo{r.probes[id], c, func() {
			r.mu.Lock()
			r.closed[id]++
			closing := r.closing
			r.mu.Unlock()
			if closing != nil {
				closing()
			}
		}}, nil
	})
}

func (r *reloading) counts(id string) [2]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return [2]int{r.built[id], r.closed[id]}
}

func (r *reloading) set(text string) { r.mu.Lock(); r.text = text; r.mu.Unlock() }

func (r *reloading) source() (*config.Config, error) {
	r.mu.Lock()
	text := strings.ReplaceAll(r.text, "BROKER", r.broker)
	slow := r.slow
	r.slow = nil
	r.mu.Unlock()
	if slow != nil {
		slow()
	}
	file := filepath.Join(r.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return app.Load(file, r.opts)
}

func startReloading(t *testing.T, broker, text string) *reloading {
	t.Helper()
	r := &reloading{T: t, text: text, broker: broker, probes: map[string]*probe{}, built: map[string]int{}, closed: map[string]int{}}
	r.opts = app.Options{Kinds: []app.Kind{r.kind()}, Stdout: io.Discard, Level: new(slog.LevelVar), Source: r.source}
	r.opts.Logger = slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: r.opts.Level}))
	cfg, err := r.source()
	if err != nil {
		t.Fatal(err)
	}
	if r.app, err = app.New(t.Context(), cfg, r.opts); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.app.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		for id, n := range r.built {
			if r.closed[id] != n {
				t.Errorf("%s: %d built, %d closed", id, n, r.closed[id])
			}
		}
	})
	t.Cleanup(r.stop)
	select {
	case <-r.app.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("Run ended: %v", err)
	}
	r.url = "http://" + r.app.Addr()
	return r
}

func (r *reloading) reload(text string) (app.Changes, error) {
	r.set(text)
	return r.app.ReloadSource(r.Context(), "test")
}

func (r *reloading) post(from, n int) {
	r.Helper()
	for i := range n {
		if code, body := post(r.T, r.url+"/v1/events", fmt.Sprintf(`{"userId":"u%d","n":%d}`, (from+i)%3, from+i)); code != http.StatusAccepted {
			r.Fatalf("%d %s", code, body)
		}
	}
}

const reloadHead = "http: {addr: \"127.0.0.1:0\"}\nadmin: {addr: \"off\"}\nbroker: BROKER\n"

// Destinations come, change and go; each gets all that it should, and the one
// that stays is never built again. What is refused changes nothing.
func TestReload(t *testing.T) {
	for name, broker := range brokers(t) {
		t.Run(name, func(t *testing.T) { testReload(t, broker) })
	}
}

func testReload(t *testing.T, broker string) {
	steady := "destinations:\n  - {id: steady, kind: echo, token: s}\n"
	r := startReloading(t, broker, reloadHead+steady+"  - {id: moving, kind: echo, token: one}\n")
	r.post(0, 30)
	r.probes["moving"].await(t, 30)

	c, err := r.reload(reloadHead + "log: {level: warn}\n" + steady + "  - {id: moving, kind: echo, token: two}\n  - {id: new, kind: echo}\n")
	if err != nil || fmt.Sprint(c) != "{[new] [moving] [] [steady] map[] warn false}" {
		t.Fatalf("%v, %v", c, err)
	}
	r.post(30, 30)
	got := r.probes["moving"].await(t, 30)
	for i, d := range got {
		want := "one"
		if i >= 30 {
			want = "two"
		}
		if d.Payload.ContentType != want {
			t.Fatalf("delivery %d was made by the configuration %q, want %q", i, d.Payload.ContentType, want)
		}
	}
	r.probes["new"].await(t, 60) // it begins with what is kept
	if r.opts.Level.Level() != slog.LevelWarn || r.app.Config().Log.Level != "warn" {
		t.Error("log.level is not in force")
	}

	for fault, text := range map[string]string{
		"destinations":       reloadHead + "destinations:\n  - {id: steady, kind: nothing}\n",
		"it is bad":          reloadHead + "log: {level: warn}\n" + steady + "  - {id: other, kind: echo}\n  - {id: moving, kind: echo, bad: true}\n",
		"broker.window_span": strings.Replace(reloadHead, "http: {", "http: {max_batch_events: 9, ", 1) + "broker: {kind: memory, window_span: 9}\n" + steady,
	} {
		before := [][2]int{r.counts("steady"), r.counts("moving"), r.counts("new")}
		if fault == "broker.window_span" {
			text = strings.Replace(text, "broker: BROKER\n", "", 1)
		}
		c, err := r.reload(text)
		if err == nil || !strings.Contains(err.Error(), fault) || !c.None() {
			t.Errorf("want an error about %s, got %v, %v", fault, c, err)
		}
		if fault == "broker.window_span" && !strings.Contains(err.Error(), "http.max_batch_events cannot change while the server runs") {
			t.Errorf("not every field is named: %v", err)
		}
		if after := [][2]int{r.counts("steady"), r.counts("moving"), r.counts("new")}; !slices.Equal(before, after) {
			t.Errorf("%s: something was built or closed: %v, %v", fault, before, after)
		}
	}
	if n := r.counts("other"); n[0] != n[1] {
		t.Error("what was built for nothing is still open")
	}

	if c, err = r.reload(reloadHead + steady); err != nil || fmt.Sprint(c) != "{[] [] [moving new] [steady] map[] info false}" {
		t.Fatalf("%v, %v", c, err)
	}
	r.post(60, 30)
	r.probes["steady"].await(t, 90)
	if n := r.counts("steady"); n != [2]int{1, 0} {
		t.Errorf("the destination that stays was built %d times and closed %d times", n[0], n[1])
	}
	if _, metrics := get(t, r.url+"/metrics"); strings.Contains(metrics, `destination="moving"`) || strings.Contains(metrics, `.moving"`) || !strings.Contains(metrics, `eventserver_deliveries_total{destination="steady",outcome="delivered"} 90`) {
		t.Error("the metrics do not follow")
	}
	// One that comes back goes on where it was.
	if _, err = r.reload(reloadHead + steady + "  - {id: moving, kind: echo, token: three}\n"); err != nil {
		t.Fatal(err)
	}
	got = r.probes["moving"].await(t, 30)
	seen := map[string]int{}
	for _, d := range got {
		seen[string(d.Payload.Body)]++
	}
	if len(seen) != 90 || len(got) != 90 {
		t.Errorf("%d deliveries of %d events, want 90 of 90", len(got), len(seen))
	}
}

// A reload that had read the file, and waited for another one to end, put back
// what that other one had changed: it was told of the newer file.
func TestReloadsReadInTheirTurn(t *testing.T) {
	r := startReloading(t, "{kind: memory}", reloadHead+"destinations:\n  - {id: steady, kind: echo}\n")
	early := reloadHead + "destinations:\n  - {id: steady, kind: echo}\n  - {id: early, kind: echo}\n"
	late := reloadHead + "destinations:\n  - {id: steady, kind: echo}\n  - {id: late, kind: echo}\n"
	r.set(early)
	read, goOn := make(chan struct{}), make(chan struct{})
	r.slow = func() { close(read); <-goOn }
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := r.app.ReloadSource(r.Context(), "first"); first <- err }()
	<-read // of the early text
	r.set(late)
	go func() { _, err := r.app.ReloadSource(r.Context(), "second"); second <- err }()
	select {
	case err := <-second: // it overtook the first
		if err != nil {
			t.Fatal(err)
		}
		second <- nil
	case <-time.After(200 * time.Millisecond): // it waits
	}
	close(goOn)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Fatal(err)
	}
	if d := r.app.Config().Destinations; len(d) != 2 || d[1].ID != "late" {
		t.Errorf("in force is %v, not the file as it is", d)
	}
}

// Of twenty destinations whose receivers hung, each was given its whole
// http.shutdown_timeout after the one before it: a reload took ten minutes.
func TestReloadEndsAllAtOnce(t *testing.T) {
	text := reloadHead + "destinations:\n  - {id: a, kind: echo, token: one}\n  - {id: b, kind: echo, token: one}\n  - {id: c, kind: echo, token: one}\n"
	r := startReloading(t, "{kind: memory}", text)
	together := func() {
		n, met := 0, make(chan struct{})
		r.mu.Lock()
		defer r.mu.Unlock()
		r.closing = func() {
			r.mu.Lock()
			if n++; n == 3 {
				close(met)
			}
			r.mu.Unlock()
			select {
			case <-met:
			case <-time.After(5 * time.Second):
				t.Error("they are closed one after the other")
			}
		}
	}
	together()
	if c, err := r.reload(strings.ReplaceAll(text, "one", "two")); err != nil || len(c.Changed) != 3 {
		t.Fatalf("%v, %v", c, err)
	}
	together()
	if c, err := r.reload(reloadHead + "destinations: []\n"); err != nil || len(c.Removed) != 3 {
		t.Fatalf("%v, %v", c, err)
	}
	r.mu.Lock()
	r.closing = nil
	r.mu.Unlock()
}

// Two destinations of kind file cannot have one file open: the new one is built
// when the old one is closed.
func TestReloadOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.ndjson")
	text := reloadHead + fmt.Sprintf("destinations:\n  - {id: out, kind: file, path: %q, envelope: ENVELOPE}\n", file)
	r := startReloading(t, "{kind: memory}", strings.Replace(text, "ENVELOPE", "false", 1))
	if c, err := r.reload(strings.Replace(text, "ENVELOPE", "true", 1)); err != nil || !slices.Equal(c.Changed, []string{"out"}) {
		t.Fatalf("%v, %v", c, err)
	}
	if c, err := r.reload(strings.Replace(text, "ENVELOPE", "true", 1)); err != nil || !c.None() {
		t.Fatalf("%v, %v", c, err)
	}
}

// A reload that fails is to be seen until one succeeds.
func TestReloadMetrics(t *testing.T) {
	r := startReloading(t, "{kind: memory}", reloadHead+"destinations:\n  - {id: steady, kind: echo}\n")
	metrics := func() (successful, at string) {
		t.Helper()
		resp, err := http.Get(r.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(body)) {
			if v, ok := strings.CutPrefix(line, "eventserver_config_last_reload_successful "); ok {
				successful = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "eventserver_config_last_reload_success_timestamp_seconds "); ok {
				at = strings.TrimSpace(v)
			}
		}
		return successful, at
	}
	ok, start := metrics()
	if ok != "1" || start == "" || start == "0" {
		t.Errorf("after the start: %q, at %q", ok, start)
	}
	if _, err := r.reload(reloadHead + "destinations:\n  - {id: steady, kind: ech}\n"); err == nil {
		t.Error("a kind that does not exist was taken")
	}
	if ok, at := metrics(); ok != "0" || at != start {
		t.Errorf("after a failure: %q, at %q, want 0 and the start %q", ok, at, start)
	}
	if _, err := r.reload(reloadHead + "destinations:\n  - {id: steady, kind: echo}\n"); err != nil {
		t.Error(err)
	}
	if ok, at := metrics(); ok != "1" || at == start {
		t.Errorf("mended: %q, at %q, want 1 and later than %q", ok, at, start)
	}
}

// Schemas and their modes change without a restart; events are judged anew.
func TestReloadOfSchemas(t *testing.T) {
	dir := t.TempDir()
	write := func(typ string) {
		text := "x-event: {type: order, version: 1}\ndescription: Somebody has ordered.\ntype: object\nproperties: {n: {type: " + typ + "}}\nexamples: [{type: order, userId: a, n: " + map[string]string{"integer": "1", "string": "x"}[typ] + "}]\n"
		if err := os.WriteFile(filepath.Join(dir, "order.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("integer")
	text := reloadHead + fmt.Sprintf("schemas: {dir: %q}\ndestinations:\n  - {id: steady, kind: echo}\n", dir)
	r := startReloading(t, "{kind: memory}", text)
	send := func(want int) {
		t.Helper()
		if code, body := post(t, r.url+"/v1/events", `{"type":"order","userId":"a","n":"x"}`); code != want {
			t.Errorf("%d %s, want %d", code, body, want)
		}
	}
	send(http.StatusUnprocessableEntity)
	write("string")
	if c, err := r.reload(text); err != nil || !c.Schemas {
		t.Fatalf("%v, %v", c, err)
	}
	send(http.StatusAccepted)
	write("integer")
	if c, err := r.reload(strings.Replace(text, "schemas: {", "schemas: {mode: warn, ", 1)); err != nil || !c.Schemas {
		t.Fatalf("%v, %v", c, err)
	}
	send(http.StatusAccepted)
	if _, err := r.reload(reloadHead + "destinations:\n  - {id: steady, kind: echo}\n"); err == nil || !strings.Contains(err.Error(), "schemas cannot change") {
		t.Errorf("schemas that go: %v", err)
	}
	if n := r.counts("steady"); n != [2]int{1, 0} {
		t.Errorf("the destination was built %d times", n[0])
	}
}
