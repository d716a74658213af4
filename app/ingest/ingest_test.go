package ingest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"eventserver/app/access"
	"eventserver/app/ingest"
	"eventserver/metrics"
)

// front is a server whose broker is a function of the test.
type front struct {
	url  string
	sub  message.Subscriber
	mu   sync.Mutex
	seen []*message.Message
}

// open starts a server. verdict says what the broker does with a request.
func open(t *testing.T, cfg ingest.Config, verdict func(*message.Message)) *front {
	t.Helper()
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	cfg.Metrics, cfg.Scrape = m, promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	if cfg.Ready == nil {
		cfg.Ready = func(context.Context) error { return nil }
	}
	s, err := ingest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{sub: s.Subscriber()}
	var wg sync.WaitGroup
	for _, path := range []string{ingest.PathEvents, ingest.PathPublish} {
		in, err := s.Subscriber().Subscribe(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for msg := range in {
				f.mu.Lock()
				f.seen = append(f.seen, msg)
				f.mu.Unlock()
				verdict(msg)
			}
		})
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(context.Background()), <-served, s.Subscriber().Close()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	f.url = "http://" + s.Addr()
	return f
}

func ack(msg *message.Message)  { msg.Ack() }
func nack(msg *message.Message) { msg.Nack() }

type request struct {
	method, path, body string
	header             map[string]string
}

func (f *front) do(t *testing.T, r request) (*http.Response, string) {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.path == "" {
		r.path = ingest.PathEvents
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, f.url+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range r.header {
		if k == "Host" {
			req.Host = v
		}
		req.Header.Set(k, v)
		if v == "" {
			delete(req.Header, k)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, strings.TrimSpace(string(b))
}

func zipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAnswers(t *testing.T) {
	f := open(t, ingest.Config{MaxEventBytes: 200, MaxBatchBytes: 1000, MaxBatchEvents: 3}, ack)
	about := func(status, title, detail string) string {
		return `{"type":"about:blank","title":"` + title + `","status":` + status + `,"detail":"` + detail
	}
	for name, c := range map[string]struct {
		request
		status int
		want   string // the body begins so
	}{
		"one":              {request{body: `{"id":"e1","type":"t","userId":"u"}`}, 202, `{"id":"e1"}`},
		"an array":         {request{body: `[{"id":"e1"},{"id":"e2"}]`}, 202, `{"ids":["e1","e2"]}`},
		"gzip":             {request{body: zipped(t, `{"id":"e1"}`), header: map[string]string{"Content-Encoding": "gzip"}}, 202, `{"id":"e1"}`},
		"the old API":      {request{path: "/publish", body: `{"userId":"u","payload":"hello"}`}, 200, `{"message":"received"}`},
		"old, no user":     {request{path: "/publish", body: `{"payload":"hello"}`}, 400, about("400", "Bad Request", "userId: ")},
		"old, no payload":  {request{path: "/publish", body: `{"userId":"u"}`}, 400, about("400", "Bad Request", "payload: ")},
		"no JSON":          {request{body: `hello`}, 400, about("400", "Bad Request", "body: ")},
		"empty":            {request{body: ``}, 400, about("400", "Bad Request", "body: ")},
		"cut":              {request{body: `{"id":"e1"`}, 400, about("400", "Bad Request", "")},
		"id a number":      {request{body: `{"id":5}`}, 400, about("400", "Bad Request", "id: ")},
		"duplicate key":    {request{body: `{"id":"a","id":"b"}`}, 400, about("400", "Bad Request", "id: ")},
		"bad time":         {request{body: `{"time":"yesterday"}`}, 400, about("400", "Bad Request", "time: ")},
		"year 10000":       {request{body: `{"time":"9999-12-31T23:59:59-01:00"}`}, 400, about("400", "Bad Request", "time: ")},
		"year -1, item":    {request{body: `[{},{"time":"0000-01-01T00:00:00+10:00"}]`}, 400, about("400", "Bad Request", "[1].time: ")},
		"bad item":         {request{body: `[{"id":"a"},{"userId":""}]`}, 400, about("400", "Bad Request", "[1].userId: ")},
		"invalid UTF-8":    {request{body: "{\"id\":\"\xff\"}"}, 400, about("400", "Bad Request", "")},
		"not gzip":         {request{body: `{"id":"e1","type":"order.placed"}`, header: map[string]string{"Content-Encoding": "gzip"}}, 400, about("400", "Bad Request", "the body is not valid gzip")},
		"not gzip, short":  {request{body: `{}`, header: map[string]string{"Content-Encoding": "gzip"}}, 400, about("400", "Bad Request", "the body is not valid gzip")},
		"empty gzip":       {request{header: map[string]string{"Content-Encoding": "gzip"}}, 400, about("400", "Bad Request", "the body is not valid gzip")},
		"cut gzip":         {request{body: zipped(t, `{"id":"e1"}`)[:15], header: map[string]string{"Content-Encoding": "gzip"}}, 400, about("400", "Bad Request", "the body is not valid gzip")},
		"broken gzip":      {request{body: zipped(t, `{"id":"e1"}`)[:10] + strings.Repeat("\xff", 20), header: map[string]string{"Content-Encoding": "gzip"}}, 400, about("400", "Bad Request", "the body is not valid gzip")},
		"method":           {request{method: "GET"}, 405, about("405", "Method Not Allowed", "use POST here")},
		"method of health": {request{method: "POST", path: "/healthz"}, 405, about("405", "Method Not Allowed", "use GET here")},
		"path":             {request{path: "/v2/events"}, 404, about("404", "Not Found", "there is nothing at this path; events go to POST /v1/events")},
		"large event":      {request{body: `{"data":"` + strings.Repeat("x", 300) + `"}`}, 413, about("413", "Request Entity Too Large", "")},
		"large body":       {request{body: `{"data":"` + strings.Repeat("x", 2000) + `"}`}, 413, about("413", "Request Entity Too Large", "the body is larger than 1000 bytes")},
		"gzip bomb":        {request{body: zipped(t, strings.Repeat(" ", 1<<20)), header: map[string]string{"Content-Encoding": "gzip"}}, 413, about("413", "Request Entity Too Large", "the body is larger than 1000 bytes")},
		"many events":      {request{body: `[{},{},{},{}]`}, 413, about("413", "Request Entity Too Large", "")},
		"form":             {request{body: `a=b`, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, about("415", "Unsupported Media Type", `Content-Type \"application/x-www-form-urlencoded\" is not supported; send application/json`)},
		"charset":          {request{body: `{}`, header: map[string]string{"Content-Type": "application/json; charset=latin1"}}, 415, about("415", "Unsupported Media Type", "")},
		"brotli":           {request{body: `{}`, header: map[string]string{"Content-Encoding": "br"}}, 415, about("415", "Unsupported Media Type", `Content-Encoding \"br\" is not supported`)},
		"health":           {request{method: "GET", path: "/healthz"}, 200, `{"status":"ok"}`},
		"ready":            {request{method: "GET", path: "/readyz"}, 200, `{"status":"ready"}`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := f.do(t, c.request)
			if resp.StatusCode != c.status || !strings.HasPrefix(body, c.want) {
				t.Errorf("%d %s\nwant %d %s", resp.StatusCode, body, c.status, c.want)
			}
			if typ := resp.Header.Get("Content-Type"); c.status >= 400 && typ != "application/problem+json" {
				t.Errorf("Content-Type %q of a problem", typ)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	current, next := sha256.Sum256([]byte("k-current")), sha256.Sum256([]byte("k-next"))
	f := open(t, ingest.Config{Keys: []access.Key{{Name: "shop", SHA256: [][32]byte{current, next}}}}, ack)
	var wg sync.WaitGroup
	for header, status := range map[string]int{
		"":                                 401,
		"Bearer k-current":                 202,
		"bearer k-next":                    202,
		"Bearer k-other":                   401,
		"Bearer ":                          401,
		"Basic ay1jdXJyZW50Og==":           202, // k-current:
		"Basic dXNlcjprLW5leHQ=":           202, // user:k-next
		"Basic dXNlcjp3cm9uZw==":           401, // user:wrong
		"Digest username=\"k-current\"":    401,
		"Basic not base64":                 401,
		"Bearer k-current, Bearer k-other": 401,
	} {
		wg.Go(func() { // side by side: the wrong ones are answered late
			resp, body := f.do(t, request{body: `{"id":"e"}`, header: map[string]string{"Authorization": header}})
			if resp.StatusCode != status {
				t.Errorf("Authorization %q: %d %s, want %d", header, resp.StatusCode, body, status)
			}
			if status == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("Authorization %q: no challenge", header)
			}
		})
	}
	wg.Wait()
}

func TestRefusedWhenNotStored(t *testing.T) {
	for name, verdict := range map[string]func(*message.Message){
		"the broker fails":       nack,
		"the broker is too slow": func(*message.Message) {},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, ingest.Config{PublishTimeout: 50_000_000}, verdict)
			resp, body := f.do(t, request{body: `{"id":"e"}`})
			if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "2" {
				t.Errorf("%d %s, Retry-After %q", resp.StatusCode, body, resp.Header.Get("Retry-After"))
			}
		})
	}
}

func TestTooManyInFlight(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	f := open(t, ingest.Config{MaxInFlight: 1}, func(msg *message.Message) {
		close(arrived)
		<-release
		msg.Ack()
	})
	first := make(chan int)
	go func() {
		resp, err := http.Post(f.url+ingest.PathEvents, "application/json", strings.NewReader(`{"id":"a"}`))
		if err != nil {
			first <- 0
			return
		}
		_ = resp.Body.Close()
		first <- resp.StatusCode
	}()
	<-arrived
	resp, body := f.do(t, request{body: `{"id":"b"}`})
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	close(release)
	if code := <-first; code != 202 {
		t.Errorf("the first was answered %d", code)
	}
}

// Clients that trickled their bodies in held the slots of requests in flight:
// as many as max_in_flight locked everybody else out.
func TestSlowBodiesHoldNoSlot(t *testing.T) {
	f := open(t, ingest.Config{MaxInFlight: 1}, ack)
	const most = 16
	var slow []net.Conn
	begin := func() *bufio.Reader {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		slow = append(slow, conn)
		// The server's "100 Continue" tells that it has begun to read the body.
		if _, err := io.WriteString(conn, "POST "+ingest.PathEvents+" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(conn)
	}
	answer := func(r *bufio.Reader) int {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	var readers []*bufio.Reader
	for i := range most {
		r := begin()
		if code := answer(r); code != 100 {
			t.Fatalf("slow client %d was answered %d", i, code)
		}
		if _, err := io.WriteString(slow[i], "{"); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	if resp, body := f.do(t, request{body: `{"id":"b"}`}); resp.StatusCode != 202 {
		t.Errorf("beside slow clients: %d %s", resp.StatusCode, body)
	}
	// And a body that arrives at last is an event like others.
	if _, err := io.WriteString(slow[0], "}"); err != nil {
		t.Fatal(err)
	}
	if code := answer(readers[0]); code != 202 {
		t.Errorf("a slow client was answered %d", code)
	}
}

// Load balancers probe with HEAD, and took the 405 for a server that is down.
func TestHeadAnswersLikeGet(t *testing.T) {
	ready := errors.New("the broker does not answer")
	f := open(t, ingest.Config{Ready: func(context.Context) error { return ready }}, ack)
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 200, ingest.PathEvents: 405, "/v2/events": 404} {
		get, _ := f.do(t, request{method: "GET", path: path})
		head, body := f.do(t, request{method: "HEAD", path: path})
		if head.StatusCode != status || get.StatusCode != status || body != "" {
			t.Errorf("%s: HEAD %d, GET %d, body %q", path, head.StatusCode, get.StatusCode, body)
		}
		for _, name := range []string{"Content-Type", "Retry-After", "Allow"} {
			if head.Header.Get(name) != get.Header.Get(name) {
				t.Errorf("%s: %s %q, of GET %q", path, name, head.Header.Get(name), get.Header.Get(name))
			}
		}
	}
	resp, _ := f.do(t, request{path: "/healthz"})
	if allow := resp.Header.Get("Allow"); allow != "GET, HEAD" {
		t.Errorf("Allow %q", allow)
	}
}

func TestBytesAreKept(t *testing.T) {
	f := open(t, ingest.Config{}, ack)
	const event = `{ "id":"e", "n": 9007199254740993, "s":"<&\u00e9" }`
	if resp, body := f.do(t, request{body: event}); resp.StatusCode != 202 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := string(f.seen[0].Payload); got != event {
		t.Errorf("stored %s, want %s", got, event)
	}
}

// Two handlers share the subscriber and both close it. watermill-http's Close
// raced with itself then, and could close its channels twice.
func TestSubscriberIsClosedByEveryHandler(t *testing.T) {
	f := open(t, ingest.Config{}, ack)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := f.sub.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Watermill's router, when it closes, may cancel the context of Subscribe
// without closing the subscriber; it then waits for the channel to close.
func TestSubscriptionEndsWithItsContext(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ingest.New(ingest.Config{Addr: "127.0.0.1:0", Metrics: m, Scrape: promhttp.HandlerFor(reg, promhttp.HandlerOpts{}),
		Ready: func(context.Context) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var subs []<-chan *message.Message
	for _, path := range []string{ingest.PathEvents, ingest.PathPublish} {
		in, err := s.Subscriber().Subscribe(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		subs = append(subs, in)
	}
	cancel()
	for _, in := range subs {
		select {
		case _, open := <-in:
			if open {
				t.Error("a message came")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the subscription goes on without its context")
		}
	}
}
