package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/app"
	"eventserver/app/config"
	"eventserver/destinations"
)

// probe is a destination of a test's own: it remembers what came, and fails as told.
type probe struct {
	id        string
	fail      func(d destinations.Delivery) error
	transform func(ctx context.Context, e destinations.Event) error
	grow      func(e destinations.Event) []byte

	mu   sync.Mutex
	got  []destinations.Delivery
	came chan struct{} // one for each delivery
}

func (p *probe) ID() string { return p.id }

func (p *probe) Transform(ctx context.Context, e destinations.Event) (destinations.Payload, error) {
	if p.transform != nil {
		if err := p.transform(ctx, e); err != nil {
			return destinations.Payload{}, err
		}
	}
	body := e.Data
	if p.grow != nil {
		body = p.grow(e)
	}
	return destinations.Payload{ContentType: e.ContentType, Body: body}, nil
}

func (p *probe) Deliver(_ context.Context, d destinations.Delivery) error {
	if p.fail != nil {
		if err := p.fail(d); err != nil {
			return err
		}
	}
	p.mu.Lock()
	p.got = append(p.got, d)
	p.mu.Unlock()
	p.came <- struct{}{}
	return nil
}

func (p *probe) await(t *testing.T, n int) []destinations.Delivery {
	t.Helper()
	limit := time.After(30 * time.Second)
	for i := range n {
		select {
		case <-p.came:
		case <-limit:
			t.Fatalf("%s: %d of %d deliveries came", p.id, i, n)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]destinations.Delivery(nil), p.got...)
}

func newProbe(id string) *probe { return &probe{id: id, came: make(chan struct{}, 100_000)} }

// start runs an app with the probes as destinations on the broker that the
// YAML names, and returns its URL and a function that stops it gracefully.
func start(t *testing.T, broker string, probes ...*probe) (url string, stop func()) {
	t.Helper()
	byID := map[string]*probe{}
	yaml := "http: {addr: \"127.0.0.1:0\"}\nbroker: " + broker + "\ndestinations:\n"
	for _, p := range probes {
		byID[p.id] = p
		yaml += fmt.Sprintf("  - {id: %s, kind: probe, retry: {initial: 5ms, max: 20ms, attempts: 3}, breaker: {initial: 5ms, max: 20ms}}\n", p.id)
	}
	kind := app.NewKind("probe", func(id string, _ struct{}) (destinations.Destination, error) { return byID[id], nil })
	o := app.Options{Kinds: []app.Kind{kind}, Stdout: io.Discard}
	cfg, err := config.Parse("test.yaml", []byte(yaml), config.Checks{Kinds: map[string]config.KindCheck{"probe": config.CheckInto[struct{}]}, Here: true})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	stop = runs(t, a)
	return "http://" + a.Addr(), stop
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	return answer(t)(http.Post(url, "application/json", strings.NewReader(body)))
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	return answer(t)(http.Get(url))
}

// answer reads what a server of the test said.
func answer(t *testing.T) func(*http.Response, error) (int, string) {
	t.Helper()
	return func(resp *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
}

func contains(metrics, line string) bool { return strings.Contains(metrics, "\n"+line+"\n") }

// awaitMetric waits for what has no other signal.
func awaitMetric(t *testing.T, url, line string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		if _, metrics := get(t, url+"/metrics"); contains(metrics, line) {
			return
		}
	}
	t.Fatalf("the metrics never showed %s", line)
}

// brokers are all three kinds; kafka is an in-process cluster, and a real one
// where EVENTSERVER_TEST_KAFKA names it.
func brokers(t *testing.T) map[string]string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	all := map[string]string{
		"memory":   "{kind: memory, partitions: 4}",
		"embedded": fmt.Sprintf("{kind: embedded, dir: %q, partitions: 4}", filepath.Join(t.TempDir(), "data")),
		"kfake":    fmt.Sprintf("{kind: kafka, brokers: [%q], partitions: 4}", cluster.ListenAddrs()[0]),
	}
	all["partition order"] = strings.Replace(all["kfake"], "partitions", "topic_prefix: stock., partitions", 1) + "\nordering: partition"
	if addrs := os.Getenv("EVENTSERVER_TEST_KAFKA"); addrs != "" {
		all["kafka"] = fmt.Sprintf("{kind: kafka, brokers: [%s], partitions: 4, topic_prefix: \"e2e%d.\"}", addrs, time.Now().UnixNano())
	}
	return all
}

func TestEndToEnd(t *testing.T) {
	for name, broker := range brokers(t) {
		t.Run(name, func(t *testing.T) {
			const users, each = 20, 25
			healthy, flaky := newProbe("healthy"), newProbe("flaky")
			var mu sync.Mutex
			failed := map[string]bool{}
			flaky.fail = func(d destinations.Delivery) error { // each event fails once
				mu.Lock()
				defer mu.Unlock()
				if failed[d.ID] {
					return nil
				}
				failed[d.ID] = true
				return fmt.Errorf("first attempt of %s fails", d.ID)
			}
			url, stop := start(t, broker, healthy, flaky)
			for _, stage := range []string{"transform", "deliver"} {
				awaitMetric(t, url, `eventserver_partitions_assigned{destination="flaky",stage="`+stage+`"} 4`)
			}
			awaitMetric(t, url, "eventserver_broker_up 1")
			for n := range each {
				var items []string
				for u := range users {
					items = append(items, fmt.Sprintf(`{"id":"u%d-%d", "userId":"u%d","n":%d,  "odd":1e2}`, u, n, u, n))
				}
				if code, body := post(t, url+"/v1/events", "["+strings.Join(items, ", ")+"]"); code != http.StatusAccepted {
					t.Fatalf("batch %d: %d %s", n, code, body)
				}
			}
			for _, p := range []*probe{healthy, flaky} {
				next := map[string]int{}
				for _, d := range p.await(t, users*each) {
					n := next[d.Key]
					next[d.Key]++
					want := fmt.Sprintf(`{"id":"%s-%d", "userId":"%s","n":%d,  "odd":1e2}`, d.Key, n, d.Key, n)
					if string(d.Payload.Body) != want {
						t.Fatalf("%s: user %s got %s, want %s", p.id, d.Key, d.Payload.Body, want)
					}
					if p == flaky && d.Attempt != 2 {
						t.Errorf("%s: attempt %d, want 2", d.ID, d.Attempt)
					}
				}
			}
			stop()
			if n := len(healthy.came) + len(flaky.came); n != 0 {
				t.Errorf("%d deliveries came twice", n)
			}
		})
	}
}

// runs runs a until stop, or until the test ends, and returns when it accepts events.
func runs(t *testing.T, a *app.App) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case <-a.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("Run ended: %v", err)
	}
	return stop
}
