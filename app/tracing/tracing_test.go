package tracing

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel"
	"go.uber.org/goleak"

	"eventserver/app/tracing/tracingtest"
	"eventserver/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buffer is a log that many goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func config(t *testing.T, url string) (Config, *buffer) {
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	log := &buffer{}
	// What the SDK tells its global handler would go past our log.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.Errorf("told globally: %v", err) }))
	return Config{Endpoint: url, Headers: map[string]string{"Authorization": "Bearer hush"}, SampleRatio: 1, Service: "s", Dropped: m.SpansDropped,
		Logger: slog.New(slog.NewTextHandler(log, nil)), interval: time.Millisecond, timeout: 5 * time.Second}, log
}

func open(t *testing.T, cfg Config) *Traces {
	t.Helper()
	tr, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close(context.Background()) })
	return tr
}

func (t *Traces) make(n int) {
	for i := range n {
		_, span := t.Tracer().Start(context.Background(), fmt.Sprintf("span %d", i))
		span.End()
	}
}

func dropped(cfg Config, reason string) float64 {
	return testutil.ToFloat64(cfg.Dropped.WithLabelValues(reason))
}

// Close sends what waits; the path behind the base URL and the headers are as
// the configuration says.
func TestCloseSendsWhatWaits(t *testing.T) {
	c := tracingtest.New(t)
	cfg, log := config(t, c.URL+"/")
	cfg.interval = time.Hour
	tr := open(t, cfg)
	tr.make(1000)
	tr.Close(t.Context())
	tr.Close(t.Context())
	if n := len(c.Spans()); n != 1000 || c.Header().Get("Authorization") != "Bearer hush" {
		t.Errorf("%d spans came, Authorization %q", n, c.Header().Get("Authorization"))
	}
	if log.String() != "" || dropped(cfg, metrics.SpansExportFailed)+dropped(cfg, metrics.SpansQueueFull) != 0 {
		t.Errorf("something was dropped: %s", log)
	}
}

// A collector that hangs lets nothing wait: what does not fit is dropped and
// counted, and Close ends with its context. Afterwards nothing is left running.
func TestHangingCollector(t *testing.T) {
	asked := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	cfg, log := config(t, server.URL)
	cfg.queue, cfg.timeout = 10, time.Minute
	tr := open(t, cfg)
	tr.make(1)
	<-asked
	tr.make(100)
	if n := dropped(cfg, metrics.SpansQueueFull); n != 91 {
		t.Errorf("%v dropped, want 91: one is being sent, nine wait", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	tr.Close(ctx)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("Close took %s", took)
	}
	if n := dropped(cfg, metrics.SpansExportFailed); n != 10 {
		t.Errorf("%v dropped at the end, want the 10 that were left", n)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, log)
	}
}

// A collector that refuses is told of once, without the secret that it repeats,
// and once when it takes spans again.
func TestRefusingCollector(t *testing.T) {
	answers := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(<-answers)
		fmt.Fprint(w, "the token hush\n is unknown")
	}))
	defer server.Close()
	cfg, log := config(t, server.URL)
	tr := open(t, cfg)
	for _, status := range []int{401, 401, 200, 200} {
		tr.make(1)
		answers <- status
		awaitIdle(t, tr)
	}
	text := log.String()
	if strings.Count(text, "level=WARN") != 1 || strings.Count(text, "level=INFO") != 1 || strings.Contains(text, "hush") || !strings.Contains(text, "401") {
		t.Errorf("log: %s", text)
	}
	if n := dropped(cfg, metrics.SpansExportFailed); n != 2 {
		t.Errorf("%v dropped, want 2", n)
	}
}

// Some collectors take a token in the path of their URL. Every error of the
// exporter names the URL, and the log had it.
func TestEndpointIsNotLogged(t *testing.T) {
	const token = "hush-0123456789"
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no "+r.URL.Path+" "+base64.StdEncoding.EncodeToString([]byte(r.URL.Path)), http.StatusBadRequest)
	}))
	defer refusing.Close()
	moved := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/"+token, http.StatusFound))
	defer moved.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, base := range []string{refusing.URL, moved.URL, gone.URL, "http://no-such-host.invalid"} {
		for _, path := range []string{"/" + token, "/team/" + token + "/", "/" + strings.ReplaceAll(token, "-", "%2D"), "/a%20" + token, "/?key=" + token} {
			cfg, log := config(t, base+path)
			cfg.timeout = 100 * time.Millisecond
			tr := open(t, cfg)
			tr.make(1)
			awaitIdle(t, tr)
			tr.Close(t.Context())
			text := log.String()
			if strings.Contains(text, "hush") || strings.Contains(text, "0123456789") || !strings.Contains(text, "level=WARN") {
				t.Errorf("%s: %s", path, text)
			}
		}
	}
}

// awaitIdle returns when nothing waits.
func awaitIdle(t *testing.T, tr *Traces) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); tr.exporter.pending.Load() > 0; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the exporter does not come to rest")
		}
	}
}

// A collector that moves gets no headers at its new place.
func TestRedirectIsNotFollowed(t *testing.T) {
	c := tracingtest.New(t)
	server := httptest.NewServer(http.RedirectHandler(c.URL+"/v1/traces", http.StatusTemporaryRedirect))
	defer server.Close()
	cfg, log := config(t, server.URL)
	tr := open(t, cfg)
	tr.make(1)
	tr.Close(t.Context())
	if len(c.Spans()) != 0 || !strings.Contains(log.String(), "307") {
		t.Errorf("%d spans, log %s", len(c.Spans()), log)
	}
}

// The environment changes neither where spans go nor what goes with them.
func TestEnvironmentIsOverruled(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-env=1")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	c := tracingtest.New(t)
	cfg, _ := config(t, c.URL)
	tr := open(t, cfg)
	tr.make(1)
	tr.Close(t.Context())
	if len(c.Spans()) != 1 || c.Header().Get("X-Env") != "" {
		t.Errorf("%d spans, %v", len(c.Spans()), c.Header())
	}
}
