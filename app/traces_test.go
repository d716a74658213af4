package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eventserver/app"
	"eventserver/app/tracing/tracingtest"
	"eventserver/destinations"
)

const (
	clientTrace  = "0af7651916cd43dd8448eb211c80319c"
	clientSpan   = "b7ad6b7169203331"
	clientParent = "00-" + clientTrace + "-" + clientSpan + "-01"
)

// runFile runs an app of a configuration file; stop stops it gracefully, which
// sends its last spans.
func runFile(t *testing.T, yaml string, probes ...*probe) (url string, stop func()) {
	t.Helper()
	a, stop := runApp(t, yaml, probes...)
	return "http://" + a.Addr(), stop
}

func runApp(t *testing.T, yaml string, probes ...*probe) (_ *app.App, stop func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eventserver.yaml")
	if err := os.WriteFile(file, []byte("http: {addr: \"127.0.0.1:0\"}\n"+yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	byID := map[string]*probe{}
	for _, p := range probes {
		byID[p.id] = p
	}
	o := app.Options{Stdout: io.Discard, Kinds: []app.Kind{
		app.NewKind("probe", func(id string, _ struct{}) (destinations.Destination, error) { return byID[id], nil })}}
	cfg, err := app.Load(file, o)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	stop = runs(t, a)
	return a, stop
}

// hook is a receiver that remembers requests and answers as told.
type hook struct {
	*httptest.Server
	came   chan http.Header
	bodies chan string
}

func newHook(t *testing.T, statuses ...int) *hook {
	h := &hook{came: make(chan http.Header, 1000), bodies: make(chan string, 1000)}
	var mu sync.Mutex
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		status := http.StatusOK
		if len(statuses) > 0 {
			status, statuses = statuses[0], statuses[1:]
		}
		mu.Unlock()
		w.WriteHeader(status)
		fmt.Fprint(w, "canary-answer")
		h.bodies <- string(body)
		h.came <- r.Header.Clone()
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) next(t *testing.T) http.Header {
	t.Helper()
	select {
	case header := <-h.came:
		return header
	case <-time.After(30 * time.Second):
		t.Fatal("no request came")
		return nil
	}
}

func send(t *testing.T, url, body string, header map[string]string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/events", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	if code, text := answer(t)(http.DefaultClient.Do(req)); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, text)
	}
}

// tree finds spans by name and parent.
type tree struct {
	t     *testing.T
	spans []tracingtest.Span
}

func (tr tree) under(parent, name string) []tracingtest.Span {
	var found []tracingtest.Span
	for _, s := range tr.spans {
		if s.Parent == parent && s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

func (tr tree) one(parent, name string, attributes map[string]string) tracingtest.Span {
	tr.t.Helper()
	found := tr.under(parent, name)
	if len(found) != 1 {
		tr.t.Fatalf("%d spans %q under %q in %+v", len(found), name, parent, tr.spans)
	}
	for k, v := range attributes {
		if found[0].Attributes[k] != v {
			tr.t.Errorf("%s: %s is %q, want %q", name, k, found[0].Attributes[k], v)
		}
	}
	return found[0]
}

const quickRetry = "retry: {initial: 2ms, max: 5ms, attempts: 5}, breaker: {initial: 2ms, max: 5ms}"

// The whole way of one event, on both brokers: a webhook that fails once, a
// destination that gives up, one that does not want it. The parents are those
// of the promise, the receiver gets the context of its attempt, and nothing of
// the user, of the payload or of a secret is in any span.
func TestTraceOfAnEvent(t *testing.T) {
	for _, broker := range []struct{ name, yaml, system string }{
		{"memory", "{kind: memory, partitions: 2}", "memory"},
		{"embedded", fmt.Sprintf("{kind: embedded, partitions: 2, dir: %q}", t.TempDir()), "embedded"},
	} {
		t.Run(broker.name, func(t *testing.T) {
			collector, receiver := tracingtest.New(t), newHook(t, http.StatusInternalServerError)
			bad, unwanted := newProbe("bad"), newProbe("unwanted")
			tried := make(chan struct{}, 10)
			bad.fail = func(d destinations.Delivery) error {
				defer func() { tried <- struct{}{} }()
				return destinations.Permanent(errors.New("canary-error " + string(d.Payload.Body)))
			}
			url, stop := runFile(t, fmt.Sprintf(`
broker: %s
traces: {endpoint: %q, headers: {Authorization: "Bearer canary-token"}, sample_ratio: 0, service_name: shop}
destinations:
  - {id: hook, kind: webhook, url: "%s/canary-path", allow_private: true, headers: {Authorization: canary-header}, %s}
  - {id: bad, kind: probe, %s}
  - {id: unwanted, kind: probe, filter: "event.type == 'other'"}
`, broker.yaml, collector.URL, receiver.URL, quickRetry, quickRetry), bad, unwanted)
			send(t, url, `{"id":"e1","type":"order.placed","userId":"canary-key","note":"canary-payload"}`,
				map[string]string{"traceparent": clientParent, "tracestate": "vendor=1", "baggage": "user=canary-baggage"})
			first, second := receiver.next(t), receiver.next(t)
			<-tried
			awaitMetric(t, url, `eventserver_poisoned_total{destination="bad",reason="permanent"} 1`)
			awaitMetric(t, url, `eventserver_deliveries_total{destination="unwanted",outcome="skipped"} 1`)
			stop()

			tr := tree{t, collector.Spans()}
			for _, s := range tr.spans {
				if s.TraceID != clientTrace || s.State != "vendor=1" || s.Resource["service.name"] != "shop" {
					t.Errorf("%s: trace %s, state %q, service %q", s.Name, s.TraceID, s.State, s.Resource["service.name"])
				}
			}
			post := tr.one(clientSpan, "POST /v1/events", map[string]string{"http.request.method": "POST", "http.route": "/v1/events", "http.response.status_code": "202"})
			events := tr.one(post.ID, "publish events", map[string]string{"messaging.system": broker.system, "messaging.destination.name": "events", "cloudevents.event_id": "e1"})
			read := map[string]string{"messaging.system": broker.system, "cloudevents.event_id": "e1", "cloudevents.event_type": "order.placed",
				"messaging.destination.name": "events", "messaging.kafka.offset": "0", "eventserver.outcome": "transformed",
				"eventserver.destination": "hook", "eventserver.destination.kind": "webhook"}
			transform := tr.one(events.ID, "transform hook", read)
			if transform.Attributes["messaging.destination.partition.id"] == "" {
				t.Error("transform hook has no partition")
			}
			published := tr.one(transform.ID, "publish dest.hook", nil)
			process := tr.one(published.ID, "process dest.hook", map[string]string{"messaging.destination.name": "dest.hook", "messaging.consumer.group.name": "deliver.hook"})
			attempts := tr.under(process.ID, "deliver hook")
			slices.SortFunc(attempts, func(a, b tracingtest.Span) int {
				return strings.Compare(a.Attributes["eventserver.attempt"], b.Attributes["eventserver.attempt"])
			})
			if len(attempts) != 2 {
				t.Fatalf("%d attempts: %+v", len(attempts), attempts)
			}
			for i, want := range []map[string]string{
				{"eventserver.attempt": "1", "eventserver.outcome": "error", "http.response.status_code": "500", "error.type": "error"},
				{"eventserver.attempt": "2", "eventserver.outcome": "success"},
			} {
				for k, v := range want {
					if got := attempts[i].Attributes[k]; got != v {
						t.Errorf("attempt %d: %s is %q, want %q", i+1, k, got, v)
					}
				}
				header := []http.Header{first, second}[i]
				if want := "00-" + clientTrace + "-" + attempts[i].ID + "-01"; header.Get("traceparent") != want || header.Get("tracestate") != "vendor=1" || header.Get("baggage") != "" {
					t.Errorf("attempt %d was sent with %q, %q, %q; want traceparent %q", i+1, header.Get("traceparent"), header.Get("tracestate"), header.Get("baggage"), want)
				}
			}
			if !attempts[0].Failed || attempts[1].Failed || process.Failed {
				t.Error("the first attempt has failed, the second and the delivery have not")
			}
			given := tr.one(tr.one(tr.one(events.ID, "transform bad", nil).ID, "publish dest.bad", nil).ID, "process dest.bad", map[string]string{"eventserver.outcome": "poisoned"})
			if !given.Failed || given.Events["poisoned"]["eventserver.reason"] != "permanent" {
				t.Errorf("given up: %+v", given)
			}
			tr.one(given.ID, "deliver bad", map[string]string{"eventserver.outcome": "permanent"})
			tr.one(given.ID, "publish poison.bad", nil)
			tr.one(events.ID, "transform unwanted", map[string]string{"eventserver.outcome": "skipped"})
			if len(tr.spans) != 13 {
				t.Errorf("%d spans: %+v", len(tr.spans), tr.spans)
			}
			if collector.Header().Get("Authorization") != "Bearer canary-token" {
				t.Error("the collector got no Authorization")
			}
			if i := strings.Index(collector.Raw(), "canary"); i >= 0 {
				t.Errorf("a span holds %.40q", collector.Raw()[i:])
			}
		})
	}
}

// A transformation that gives up tells in its span, and its record in the
// poison queue goes on under it.
func TestTraceOfAFailedTransformation(t *testing.T) {
	collector, p := tracingtest.New(t), newProbe("p")
	p.transform = func(context.Context, destinations.Event) error { panic("canary") }
	url, stop := runFile(t, fmt.Sprintf("broker: {kind: memory}\ntraces: {endpoint: %q}\ndestinations: [{id: p, kind: probe}]\n", collector.URL), p)
	send(t, url, `{"userId":"u"}`, nil)
	awaitMetric(t, url, `eventserver_poisoned_total{destination="p",reason="transform"} 1`)
	stop()
	tr := tree{t, collector.Spans()}
	given := tr.one(tr.one(tr.one("", "POST /v1/events", nil).ID, "publish events", nil).ID, "transform p", map[string]string{"eventserver.outcome": "poisoned"})
	if !given.Failed || given.Events["poisoned"]["eventserver.reason"] != "transform" {
		t.Errorf("%+v", given)
	}
	tr.one(given.ID, "publish poison.p", nil)
	if strings.Contains(collector.Raw(), "canary") {
		t.Error("a span holds the panic's text")
	}
}

// Without traces a client's context reaches the receiver as it came, even one
// that no tracer would take.
func TestTracesOff(t *testing.T) {
	for _, traceparent := range []string{clientParent, "not a traceparent"} {
		receiver := newHook(t)
		url, _ := runFile(t, fmt.Sprintf("broker: {kind: memory}\ndestinations: [{id: hook, kind: webhook, url: %q, allow_private: true}]\n", receiver.URL))
		send(t, url, `{"userId":"u"}`, map[string]string{"traceparent": traceparent, "tracestate": "a=b"})
		if h := receiver.next(t); h.Get("traceparent") != traceparent || h.Get("tracestate") != "a=b" {
			t.Errorf("got %q, %q", h.Get("traceparent"), h.Get("tracestate"))
		}
	}
}

// A traceparent that is malformed is none: the event gets a trace of its own,
// without the tracestate that came. One that is not sampled stays so, in the
// same trace.
func TestTraceparentOfAClient(t *testing.T) {
	for _, c := range []struct{ name, in, trace, flags, state string }{
		{"malformed", "00-" + strings.Repeat("0", 32) + "-" + clientSpan + "-01", "", "-01", ""},
		{"not sampled", "00-" + clientTrace + "-" + clientSpan + "-00", clientTrace, "-00", "a=b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			collector, receiver := tracingtest.New(t), newHook(t)
			url, stop := runFile(t, fmt.Sprintf("broker: {kind: memory}\ntraces: {endpoint: %q}\ndestinations: [{id: hook, kind: webhook, url: %q, allow_private: true}]\n", collector.URL, receiver.URL))
			send(t, url, `{"userId":"u"}`, map[string]string{"traceparent": c.in, "tracestate": "a=b"})
			h := receiver.next(t)
			stop()
			got := h.Get("traceparent")
			if got == c.in || strings.Contains(got, clientSpan) || !strings.HasSuffix(got, c.flags) || h.Get("tracestate") != c.state || c.trace != "" && !strings.Contains(got, c.trace) {
				t.Errorf("got %q, %q", got, h.Get("tracestate"))
			}
			spans := collector.Spans()
			if c.flags == "-00" {
				if len(spans) != 0 {
					t.Errorf("%d spans of a trace that is not sampled", len(spans))
				}
				return
			}
			for _, s := range spans {
				if !strings.Contains(got, s.TraceID) || s.TraceID == strings.Repeat("0", 32) {
					t.Errorf("%s is in trace %s, the receiver got %s", s.Name, s.TraceID, got)
				}
			}
		})
	}
}

// A request of many is one publish, and a batch one call with links to its
// events, each of which has an attempt in its own trace.
func TestTraceOfBatches(t *testing.T) {
	collector, receiver := tracingtest.New(t), newHook(t)
	url, stop := runFile(t, fmt.Sprintf(`
broker: {kind: memory, partitions: 1}
traces: {endpoint: %q}
destinations: [{id: hook, kind: webhook, url: %q, allow_private: true, batch: {max_events: 3, max_wait: 10s}}]
`, collector.URL, receiver.URL))
	send(t, url, `[{"id":"a","userId":"u1"},{"id":"b","userId":"u2"}]`, map[string]string{"traceparent": clientParent})
	send(t, url, `{"id":"c","userId":"u3"}`, nil) // a trace of its own
	header, body := receiver.next(t), <-receiver.bodies
	stop()
	tr := tree{t, collector.Spans()}
	events := tr.one(tr.one(clientSpan, "POST /v1/events", nil).ID, "publish events", map[string]string{"messaging.batch.message_count": "2"})
	if n := len(tr.under(events.ID, "transform hook")); n != 2 {
		t.Errorf("%d transformations of a request of 2", n)
	}
	var call tracingtest.Span
	published := map[string]tracingtest.Span{} // by event
	for _, s := range tr.spans {
		switch s.Name {
		case "deliver batch hook":
			call = s
		case "publish dest.hook":
			published[s.Attributes["cloudevents.event_id"]] = s
		}
	}
	if want := "00-" + call.TraceID + "-" + call.ID + "-01"; header.Get("traceparent") != want || call.Attributes["messaging.batch.message_count"] != "3" || call.Attributes["eventserver.outcome"] != "success" {
		t.Errorf("the request came with %q, its span is %+v", header.Get("traceparent"), call)
	}
	var items []struct {
		EventID  string            `json:"event_id"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(body), &items); err != nil || len(items) != 3 || len(call.Links) != 3 {
		t.Fatalf("%v: %s; links %v", err, body, call.Links)
	}
	for _, item := range items {
		p := published[item.EventID]
		own := tr.one(p.ID, "deliver hook", map[string]string{"cloudevents.event_id": item.EventID, "eventserver.outcome": "success"})
		if !slices.Contains(call.Links, p.TraceID+"-"+p.ID) || !slices.Contains(own.Links, call.TraceID+"-"+call.ID) {
			t.Errorf("%s: the call links to %v, the attempt to %v", item.EventID, call.Links, own.Links)
		}
		if want := "00-" + p.TraceID + "-" + own.ID + "-01"; item.Metadata["traceparent"] != want {
			t.Errorf("%s came with %q, want %q", item.EventID, item.Metadata["traceparent"], want)
		}
	}
	if published["a"].TraceID != clientTrace || published["c"].TraceID == clientTrace {
		t.Error("the traces of two requests are mixed")
	}
}

// Events that a program puts go on under the traceparents that they have.
func TestTraceOfPut(t *testing.T) {
	collector, p := tracingtest.New(t), newProbe("p")
	a, stop := runApp(t, fmt.Sprintf("broker: {kind: memory}\ntraces: {endpoint: %q}\ndestinations: [{id: p, kind: probe}]\n", collector.URL), p)
	if err := a.Put(t.Context(),
		destinations.Event{ID: "e1", Key: "u", ReceivedAt: time.Now(), ContentType: "application/json", Data: []byte(`{}`), Metadata: map[string]string{"traceparent": clientParent}},
		destinations.Event{ID: "e2", Key: "u", ReceivedAt: time.Now(), ContentType: "application/json", Data: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	p.await(t, 2)
	stop()
	tr := tree{t, collector.Spans()}
	first := tr.one(clientSpan, "publish events", map[string]string{"cloudevents.event_id": "e1", "messaging.system": "memory"})
	second := tr.one("", "publish events", map[string]string{"cloudevents.event_id": "e2"})
	for _, published := range []tracingtest.Span{first, second} {
		tr.one(published.ID, "transform p", map[string]string{"cloudevents.event_id": published.Attributes["cloudevents.event_id"]})
	}
	if first.TraceID == second.TraceID {
		t.Error("two events without a common parent are in one trace")
	}
}

// Two servers in one process have a collector each: nothing is global.
func TestTracesOfTwoApps(t *testing.T) {
	var collectors []*tracingtest.Collector
	for i := range 2 {
		collector, p := tracingtest.New(t), newProbe("p")
		url, stop := runFile(t, fmt.Sprintf("broker: {kind: memory}\ntraces: {endpoint: %q, service_name: app%d}\ndestinations: [{id: p, kind: probe}]\n", collector.URL, i), p)
		defer stop()
		send(t, url, fmt.Sprintf(`{"id":"e%d","userId":"u"}`, i), nil)
		p.await(t, 1)
		collectors = append(collectors, collector)
		t.Cleanup(func() {
			tr := tree{t, collector.Spans()}
			tr.one(tr.one("", "POST /v1/events", nil).ID, "publish events", map[string]string{"cloudevents.event_id": fmt.Sprintf("e%d", i)})
			if len(tr.spans) != 6 {
				t.Errorf("%d spans", len(tr.spans))
			}
		})
	}
	if collectors[0] == collectors[1] {
		t.Fatal("one collector")
	}
}

// A collector that never answers holds up neither a delivery nor the stop.
func TestHangingCollector(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer collector.Close()
	defer close(release)
	p := newProbe("p")
	url, stop := runFile(t, fmt.Sprintf("broker: {kind: memory}\ntraces: {endpoint: %q}\ndestinations: [{id: p, kind: probe}]\n", collector.URL), p)
	send(t, url, `{"userId":"u"}`, nil)
	p.await(t, 1)
	<-asked // an export is under way
	send(t, url, `{"userId":"u"}`, nil)
	p.await(t, 1)
	began := time.Now()
	stop()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the stop took %s", took)
	}
}

// The histograms name a trace for their buckets, where one is sampled.
func TestExemplars(t *testing.T) {
	collector, p := tracingtest.New(t), newProbe("p")
	url, _ := runFile(t, fmt.Sprintf("broker: {kind: memory}\ntraces: {endpoint: %q}\ndestinations: [{id: p, kind: probe}]\n", collector.URL), p)
	send(t, url, `{"userId":"u"}`, map[string]string{"traceparent": clientParent})
	p.await(t, 1)
	awaitMetric(t, url, `eventserver_deliveries_total{destination="p",outcome="delivered"} 1`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	_, text := answer(t)(http.DefaultClient.Do(req))
	for _, name := range []string{"delivery_latency_seconds", "attempt_duration_seconds", "accept_duration_seconds"} {
		found := slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
			return strings.HasPrefix(line, "eventserver_"+name+"_bucket") && strings.Contains(line, `# {trace_id="`+clientTrace+`"}`)
		})
		if !found {
			t.Errorf("%s has no exemplar", name)
		}
	}
}
