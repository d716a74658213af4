package byhand

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver notes what comes while it is up.
type receiver struct {
	*httptest.Server
	up     atomic.Bool
	came   chan struct{}
	mu     sync.Mutex
	bodies map[string][]string // by path
	ids    map[string]bool
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{came: make(chan struct{}, 1000), bodies: map[string][]string{}, ids: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || !r.up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			r.came <- struct{}{}
			return
		}
		r.mu.Lock()
		r.bodies[req.URL.Path] = append(r.bodies[req.URL.Path], string(body))
		r.ids[req.URL.Path+req.Header.Get("Webhook-Id")] = true
		r.mu.Unlock()
		r.came <- struct{}{}
	}))
	t.Cleanup(r.Close)
	return r
}

// got counts what came to a path.
func (r *receiver) got(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies[path])
}

// start runs the program until the returned function is called.
func start(t *testing.T, cfg Config) (url string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Addr = l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg) }()
	url = "http://" + cfg.Addr
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for get(url+"/readyz") != http.StatusOK {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-limit.C:
			t.Fatal("it is not ready")
		case <-look.C:
		}
	}
	return url, func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func get(url string) int {
	resp, err := client.Get(url)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func post(t *testing.T, url, body string) int {
	t.Helper()
	resp, err := client.Post(url+"/v1/events", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func data(user string, n int) string { return fmt.Sprintf(`{"userId":"%s","n":%d}`, user, n) }

// What a commit that was cut off by the stop had taken was not committed again by the last
// one, so that it came twice (on Kafka, rarely).
//
// What was accepted while the receivers were down comes after a restart, once, in the
// order of each user and under an id of its own; what was delivered does not come
// again after the next one.
func testResumes(t *testing.T, cfg Config) {
	r := newReceiver(t)
	cfg.URLs, cfg.Concurrency = []string{r.URL + "/a", r.URL + "/b"}, 4
	url, stop := start(t, cfg)
	const users, each = 5, 6
	for n := 0; n < each; n += 2 {
		for u := range users {
			user := fmt.Sprint("u", u)
			body := data(user, n)
			if status := post(t, url, body); status != http.StatusAccepted {
				t.Fatal(status)
			}
			if status := post(t, url, "["+data(user, n+1)+"]"); status != http.StatusAccepted {
				t.Fatal(status)
			}
		}
	}
	for _, bad := range []string{"", "{}", "[]", "[{}]", "[1", `{"userId":""}`} {
		if status := post(t, url, bad); status != http.StatusBadRequest {
			t.Errorf("%q: %d", bad, status)
		}
	}
	<-r.came // an attempt that failed
	stop()
	r.up.Store(true)
	for len(r.came) > 0 {
		<-r.came
	}
	_, stop = start(t, cfg)
	for range 2 * users * each {
		<-r.came
	}
	stop()
	url, stop = start(t, cfg)
	if status := post(t, url, data("last", 0)); status != http.StatusAccepted {
		t.Fatal(status)
	}
	<-r.came
	<-r.came
	stop()
	for _, path := range []string{"/a", "/b"} {
		if got := len(r.bodies[path]); got != users*each+1 {
			t.Errorf("%s: %d events", path, got)
		}
		for u := range users {
			user := fmt.Sprint("u", u)
			var want []string
			for n := range each {
				want = append(want, data(user, n))
			}
			got := slices.DeleteFunc(slices.Clone(r.bodies[path]), func(b string) bool { return !strings.Contains(b, `"`+user+`"`) })
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s got %s", path, user, got)
			}
		}
	}
	if want := 2 * (users*each + 1); len(r.ids) != want {
		t.Errorf("%d ids, want %d", len(r.ids), want)
	}
}

func TestPebbleResumes(t *testing.T) {
	testResumes(t, Config{Dir: filepath.Join(t.TempDir(), "data")})
}

func onKafka(t *testing.T) Config {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return Config{Brokers: c.ListenAddrs(), Prefix: "t.", Partitions: 3}
}

func TestKafkaResumes(t *testing.T) {
	testResumes(t, onKafka(t))
}

// What one destination has is not delivered to it again because another is down.
func testDeadBesideHealthy(t *testing.T, cfg Config) {
	dead, healthy := newReceiver(t), newReceiver(t)
	healthy.up.Store(true)
	cfg.URLs, cfg.Concurrency = []string{dead.URL + "/dead", healthy.URL + "/healthy"}, 4
	url, stop := start(t, cfg)
	const events = 20
	for n := range events {
		if status := post(t, url, data("u", n)); status != http.StatusAccepted {
			t.Fatal(status)
		}
		<-healthy.came
	}
	stop()
	url, stop = start(t, cfg)
	if status := post(t, url, data("u", events)); status != http.StatusAccepted {
		t.Fatal(status)
	}
	<-healthy.came
	dead.up.Store(true)
	for dead.got("/dead") < events+1 {
		<-dead.came
	}
	stop()
	if n := healthy.got("/healthy"); n != events+1 {
		t.Errorf("%d deliveries of %d events", n, events+1)
	}
}

func TestPebbleDeadBesideHealthy(t *testing.T) {
	testDeadBesideHealthy(t, Config{Dir: filepath.Join(t.TempDir(), "data")})
}

func TestKafkaDeadBesideHealthy(t *testing.T) {
	testDeadBesideHealthy(t, onKafka(t))
}

// A batch holds events of several users and, of one, only what may come next.
func TestBatches(t *testing.T) {
	r := newReceiver(t)
	r.up.Store(true)
	url, stop := start(t, Config{Dir: filepath.Join(t.TempDir(), "data"), URLs: []string{r.URL}, Concurrency: 1, Batch: 3})
	var all []string
	for n := range 4 {
		all = append(all, data("u1", n), data("u2", n))
	}
	if status := post(t, url, "["+strings.Join(all, ",")+"]"); status != http.StatusAccepted {
		t.Fatal(status)
	}
	var got []string
	for len(got) < len(all) {
		<-r.came
		got = nil
		r.mu.Lock()
		for _, b := range r.bodies["/"] {
			n := 0
			for _, item := range strings.SplitAfter(b, "}}") {
				if _, event, ok := strings.Cut(item, `"data":`); ok {
					got, n = append(got, strings.TrimSuffix(event, "}")), n+1
				}
			}
			if n < 1 || n > 3 {
				t.Errorf("%d events in %s", n, b)
			}
		}
		r.mu.Unlock()
	}
	stop()
	for _, user := range []string{"u1", "u2"} {
		of := func(list []string) []string {
			return slices.DeleteFunc(slices.Clone(list), func(b string) bool { return !strings.Contains(b, user) })
		}
		if !slices.Equal(of(got), of(all)) {
			t.Errorf("%s: %s", user, of(got))
		}
	}
}

// A window keeps up to the first event that is not done, over offsets that do not exist.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		next := rapid.Int64Range(0, 100).Draw(t, "first")
		w := &window{next: next}
		open := map[int64]bool{}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			if len(open) == 0 || rapid.Bool().Draw(t, "begin") {
				next += rapid.Int64Range(0, 3).Draw(t, "gap")
				w.begin(next)
				open[next] = true
				next++
			} else {
				offsets := make([]int64, 0, len(open))
				for o := range open {
					offsets = append(offsets, o)
				}
				slices.Sort(offsets)
				o := rapid.SampledFrom(offsets).Draw(t, "end")
				w.end(o)
				delete(open, o)
			}
			want := next
			for o := range open {
				want = min(want, o)
			}
			if got := w.kept(); got != want {
				t.Fatalf("kept %d, want %d", got, want)
			}
		}
	})
}

func TestConfigFaults(t *testing.T) {
	err := Config{Dir: "d", Brokers: []string{"b"}}.Check()
	for _, want := range []string{"Addr", "Dir or Brokers", "URLs", "Concurrency"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: lacks %s", err, want)
		}
	}
}
