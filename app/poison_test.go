package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/app"
	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/router/poison"
)

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// operated is a server with its admin API, and what it goes by.
type operated struct {
	url    string
	poison admin.PoisonClient
	cfg    *config.Config
	o      app.Options
	log    *lines
}

func operate(t *testing.T, broker string, p *probe) *operated {
	t.Helper()
	kind := app.NewKind("probe", func(string, struct{}) (destinations.Destination, error) { return p, nil })
	s := &operated{log: &lines{}}
	s.o = app.Options{Kinds: []app.Kind{kind}, Stdout: io.Discard, Logger: slog.New(slog.NewTextHandler(s.log, nil))}
	yaml := "http: {addr: \"127.0.0.1:0\"}\nbroker: " + broker + "\ndestinations:\n  - {id: " + p.id + ", kind: probe, concurrency: 64, breaker: {failures: 1000000}, flood_guard: 0}\n"
	var err error
	s.cfg, err = config.Parse("test.yaml", []byte(yaml), config.Checks{Kinds: map[string]config.KindCheck{"probe": config.CheckInto[struct{}]}, Here: true})
	require.NoError(t, err)
	a, err := app.New(t.Context(), s.cfg, s.o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
	select {
	case <-a.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("Run ended: %v", err)
	}
	s.url = "http://" + a.Addr()
	s.poison = admin.PoisonClient{Client: &admin.Client{BaseURL: "http://" + a.AdminAddr()}}
	return s
}

func (s *operated) post(t *testing.T, users, each int) {
	t.Helper()
	for n := range each {
		for from := 0; from < users; from += 500 {
			var items []string
			for u := from; u < min(users, from+500); u++ {
				items = append(items, body(fmt.Sprint("u", u), n))
			}
			code, answer := post(t, s.url+"/v1/events", "["+strings.Join(items, ", ")+"]")
			require.Equal(t, http.StatusAccepted, code, answer)
		}
	}
}

func body(user string, n int) string {
	return fmt.Sprintf(`{"id":"%s-%d", "userId":%q, "type":"order.placed", "n":%d,  "odd":1e2}`, user, n, user, n)
}

// awaitPoisoned waits for what has no other signal.
func (s *operated) awaitPoisoned(t *testing.T, n int) poison.Counts {
	t.Helper()
	var c poison.Counts
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		var err error
		c, err = s.poison.Counts(t.Context(), poison.Filter{})
		require.NoError(t, err)
		if c.Count == n {
			return c
		}
	}
	t.Fatalf("%d of %d were given up", c.Count, n)
	return c
}

func (s *operated) redrive(t *testing.T, o poison.Order) poison.Run {
	t.Helper()
	o.Action, o.All = "redrive", true
	if o.Rate == nil {
		o.Rate = new(float64)
	}
	run, err := s.poison.Begin(t.Context(), o, "")
	require.NoError(t, err)
	for run.State == "running" {
		run, err = s.poison.Run(t.Context(), run.ID, 2*time.Second)
		require.NoError(t, err)
	}
	require.Equal(t, "done", run.State, run.Error)
	return run
}

// checkRedriven: every event once, byte for byte, each user's in order.
func checkRedriven(t *testing.T, p *probe, users, each int) {
	t.Helper()
	next := map[string]int{}
	last := map[string]int64{}
	for _, d := range p.await(t, users*each) {
		n := next[d.Key]
		next[d.Key]++
		if want := body(d.Key, n); string(d.Payload.Body) != want {
			t.Fatalf("user %s got %s, want %s", d.Key, d.Payload.Body, want)
		}
		if at, ok := last[d.Key]; ok && d.Sequence <= at {
			t.Fatalf("%s has the sequence %d after %d", d.ID, d.Sequence, at)
		}
		last[d.Key] = d.Sequence
		if d.Redrives != 1 || d.ID != d.EventID+":d" || d.RedrivenAt.Before(d.ReceivedAt) {
			t.Fatalf("%+v", d)
		}
	}
	assert.Len(t, next, users)
	assert.Empty(t, p.came)
}

// The receiver refuses everything, is mended, and gets what it missed.
func TestPoisonEndToEnd(t *testing.T) {
	for name, broker := range brokers(t) {
		if name == "partition order" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			const users, each = 10, 5
			p := newProbe("d")
			var mended atomic.Bool
			p.fail = func(destinations.Delivery) error {
				if mended.Load() {
					return nil
				}
				return destinations.Permanent(errors.New("422: no such field"))
			}
			s := operate(t, broker, p)
			s.post(t, users, each)
			c := s.awaitPoisoned(t, users*each)
			assert.Equal(t, []poison.Count{{Class: "receiver", Reason: "permanent", Count: users * each}}, c.Destinations[0].Reasons)
			page, err := s.poison.List(t.Context(), poison.Query{Filter: poison.Filter{Key: "u3", Since: "1h"}, Limit: 3})
			require.NoError(t, err)
			require.Len(t, page.Items, 3)
			assert.NotEmpty(t, page.Next)
			assert.Equal(t, "422: no such field", page.Items[0].Detail)
			assert.Equal(t, 1, page.Items[0].Attempts)
			found, err := s.poison.Show(t.Context(), "", "u3-1", true)
			require.NoError(t, err)
			assert.JSONEq(t, body("u3", 1), string(found.Records[0].Data))

			mended.Store(true)
			dry := s.redrive(t, poison.Order{DryRun: true})
			assert.Equal(t, users*each, dry.Redriven)
			run := s.redrive(t, poison.Order{})
			assert.Equal(t, users*each, run.Redriven)
			assert.Equal(t, admin.Local, run.By)
			checkRedriven(t, p, users, each)
			s.awaitPoisoned(t, 0)
			assert.Zero(t, s.redrive(t, poison.Order{}).Matched)
			awaitMetric(t, s.url, `eventserver_poison_settled_total{mark="redriven"} 50`)
			found, err = s.poison.Show(t.Context(), "d", "u3-1", false)
			require.NoError(t, err)
			require.NotNil(t, found.Records[0].Settled)
			assert.Equal(t, run.ID, found.Records[0].Settled.Run)
			log := s.log.String()
			assert.Equal(t, 2, strings.Count(log, " by=local run="+run.ID), "beside that of the operation, one line when it begins and one when it ends, whatever it does: %s", log)
			assert.Contains(t, log, fmt.Sprintf("msg=audit action=\"redrive ends\" by=local run=%s dry_run=false destination=d state=done matched=%d redriven=%d", run.ID, users*each, users*each))
			assert.NotContains(t, log, "odd")
			if app.InProcess(s.cfg) {
				return
			}
			// The same, straight from the cluster.
			direct, err := app.OpenPoison(t.Context(), s.cfg, s.o, app.PoisonLook)
			require.NoError(t, err)
			same, err := direct.Show(t.Context(), "d", "u3-1", false)
			require.NoError(t, err)
			assert.Equal(t, found, same)
			require.NoError(t, direct.Close())
		})
	}
}

// What failed in the transformation is transformed again.
func TestRedriveAfterTheTransformationIsMended(t *testing.T) {
	p := newProbe("d")
	var mended atomic.Bool
	p.transform = func(_ context.Context, e destinations.Event) error {
		if mended.Load() || strings.HasSuffix(e.ID, "-0") {
			return nil
		}
		return errors.New("no such field")
	}
	s := operate(t, "{kind: memory}", p)
	s.post(t, 4, 3)
	c := s.awaitPoisoned(t, 8)
	assert.Equal(t, []poison.Count{{Class: "pipeline", Reason: "transform", Count: 8}}, c.Destinations[0].Reasons)
	run := s.redrive(t, poison.Order{Filter: poison.Filter{Class: "pipeline"}})
	assert.Equal(t, "0 4 4", fmt.Sprint(run.Redriven, " ", run.Failed, " ", run.Behind))
	assert.Equal(t, "transform again: transform: no such field", run.Problems[0].Why)
	mended.Store(true)
	assert.Equal(t, 8, s.redrive(t, poison.Order{}).Redriven)
	next := map[string]int{}
	for _, d := range p.await(t, 12) {
		assert.Equal(t, fmt.Sprint(d.Key, "-", next[d.Key]), d.EventID)
		next[d.Key]++
	}
	s.awaitPoisoned(t, 0)
}

// An event that comes back again and again is refused in the end.
func TestRedriveLoopGuard(t *testing.T) {
	p := newProbe("d")
	p.fail = func(destinations.Delivery) error { return destinations.Permanent(errors.New("no")) }
	s := operate(t, "{kind: memory}", p)
	s.post(t, 1, 1)
	for n := range 3 {
		s.awaitPoisoned(t, 1)
		page, err := s.poison.List(t.Context(), poison.Query{})
		require.NoError(t, err)
		assert.Equal(t, n, page.Items[0].Redrives)
		assert.Equal(t, 1, s.redrive(t, poison.Order{}).Redriven)
	}
	s.awaitPoisoned(t, 1)
	run := s.redrive(t, poison.Order{})
	assert.Equal(t, "0 1", fmt.Sprint(run.Redriven, " ", run.Refused))
}

func TestRedriveTenThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const users, each = 500, 20
	p := newProbe("d")
	var mended atomic.Bool
	p.fail = func(destinations.Delivery) error {
		if mended.Load() {
			return nil
		}
		return destinations.Permanent(errors.New("no"))
	}
	s := operate(t, brokers(t)["embedded"], p)
	s.post(t, users, each)
	s.awaitPoisoned(t, users*each)
	mended.Store(true)
	began := time.Now()
	run := s.redrive(t, poison.Order{})
	t.Logf("redriven in %s", time.Since(began))
	assert.Equal(t, users*each, run.Redriven)
	checkRedriven(t, p, users, each)
	s.awaitPoisoned(t, 0)
}
