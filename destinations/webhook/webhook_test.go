package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"eventserver/destinations"
	"eventserver/destinations/destinationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "canary-5ca1ab1e"

func secretOf(fill string) destinations.Secret {
	return destinations.Secret(secretPrefix + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(fill, 32))))
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func open(t *testing.T, cfg Config) *Destination {
	t.Helper()
	cfg.AllowPrivate = true
	d, err := New("shop", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func delivery(id string) destinations.Delivery {
	return destinations.Delivery{
		ID: id + ":shop", EventID: id, EventType: "order.placed", Key: "user 1/%é", Destination: "shop", Attempt: 3,
		Time: time.Unix(1, 5), ReceivedAt: time.Unix(2, 0), Sequence: 42,
		Payload: destinations.Payload{ContentType: "application/json", Body: []byte(`{"a":1}`)},
	}
}

func canaryConfig(url string) Config {
	return Config{
		URL: url + "/hook?token=" + canary, Secret: secretOf("a"), AllowPrivate: true,
		Headers: map[string]string{"Authorization": "Bearer " + canary},
	}
}

func TestConformance(t *testing.T) {
	broken := func(h http.HandlerFunc) func(*testing.T) destinations.Destination {
		return func(t *testing.T) destinations.Destination { return open(t, canaryConfig(serve(t, h))) }
	}
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T) destinations.Destination {
			return open(t, canaryConfig(serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
			})))
		},
		PassThrough: true,
		Stuck: func(t *testing.T, entered chan<- struct{}) destinations.Destination {
			return open(t, canaryConfig(serve(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // the server sees a client leave only after the body
				entered <- struct{}{}
				<-r.Context().Done()
			})))
		},
		Broken: map[string]func(*testing.T) destinations.Destination{
			"echo": broken(func(w http.ResponseWriter, r *http.Request) { // prints the request, as debugging servers do
				w.WriteHeader(500)
				_, _ = io.WriteString(w, r.URL.String()+"\n")
				_ = r.Header.Write(w)
			}),
			"redirect": broken(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
			}),
			"hangs up": broken(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
			"refused": func(t *testing.T) destinations.Destination {
				return open(t, canaryConfig(closedURL(t)))
			},
			"blocked": func(t *testing.T) destinations.Destination {
				cfg := canaryConfig("http://127.0.0.1:9")
				cfg.AllowPrivate = false
				d, err := New("shop", cfg)
				if err != nil {
					t.Fatal(err)
				}
				return d
			},
		},
		Canaries: []string{canary, secretOf("a").Reveal(), "token="},
	})
}

func closedURL(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	cfg := Config{
		Secret: secretOf("a"), SecretNext: secretOf("b"), Method: "PUT",
		Headers: map[string]string{"authorization": "Bearer x", "X-Both": "operator"},
	}
	cfg.URL = serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}) + "/in?x=1"
	d := open(t, cfg)
	del := delivery("a.b c%é")
	del.Payload.Headers = map[string]string{
		"X-Both": "event", "X-Event": "yes", "user-agent": "forged", "webhook-id": "forged", "Delivery-Attempt": "forged",
		"IDEMPOTENCY-KEY": "forged", "Host": "forged",
	}
	del.Metadata = map[string]string{"traceparent": "00-1-2-01", "tracestate": "foo=1, bar=2", "x-both": "metadata", "x-event-key": "mine", "event-key": "forged"}
	if err := d.Deliver(t.Context(), del); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "eventserver", "Authorization": "Bearer x",
		"X-Both": "operator", "X-Event": "yes", "Traceparent": "00-1-2-01", "Tracestate": "foo=1, bar=2", "X-Event-Key": "mine",
		"Webhook-Id": "a%2Eb%20c%25%C3%A9:shop", "Idempotency-Key": "a.b%20c%25%C3%A9:shop", "Delivery-Id": "a.b%20c%25%C3%A9:shop",
		"Event-Id": "a.b%20c%25%C3%A9", "Event-Type": "order.placed", "Event-Key": "user%201/%25%C3%A9",
		"Event-Time": "1970-01-01T00:00:01.000000005Z", "Event-Received-At": "1970-01-01T00:00:02Z",
		"Event-Sequence": "42", "Delivery-Attempt": "3",
	} {
		if values := got.Header.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q, want %q", name, values, want)
		}
	}
	if got.Method != "PUT" || got.RequestURI != "/in?x=1" || string(body) != `{"a":1}` || strings.Contains(got.Host, "forged") {
		t.Errorf("request %s %s of %s: %s", got.Method, got.RequestURI, got.Host, body)
	}
	if id, err := url.PathUnescape(got.Header.Get("Webhook-Id")); err != nil || id != del.ID {
		t.Errorf("webhook-id decodes to %q, %v", id, err)
	}
	// The receivers' own library, with either secret.
	for _, s := range []destinations.Secret{cfg.Secret, cfg.SecretNext} {
		v, err := standardwebhooks.NewWebhook(s.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(body, got.Header); err != nil {
			t.Errorf("Verify: %v", err)
		}
		if v.Verify(append(body, ' '), got.Header) == nil {
			t.Error("Verify took a changed body")
		}
	}
	if v, _ := standardwebhooks.NewWebhook(secretOf("c").Reveal()); v.Verify(body, got.Header) == nil {
		t.Error("Verify took another secret")
	}
}

func TestUnsignedAndSparse(t *testing.T) {
	var got http.Header
	d := open(t, Config{URL: serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })})
	if err := d.Deliver(t.Context(), destinations.Delivery{ID: "e:shop", EventID: "e", Key: "k", Attempt: 1, Sequence: -1}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Webhook-Signature", "Event-Sequence", "Event-Time", "Event-Type", "Content-Type"} {
		if v, ok := got[name]; ok {
			t.Errorf("%s: %q, want none", name, v)
		}
	}
	if got.Get("Webhook-Id") != "e:shop" || got.Get("Webhook-Timestamp") == "" {
		t.Errorf("headers %v", got)
	}
}

func TestBadPayloadHeaderIsPermanent(t *testing.T) {
	d := open(t, Config{URL: "http://127.0.0.1:9"})
	for name, value := range map[string]string{"a b": "x", "A": "x\r\nB: y"} {
		del := delivery("e")
		del.Payload.Headers = map[string]string{name: value}
		if got := destinationtest.Verdict(d.Deliver(t.Context(), del)); got != "permanent" {
			t.Errorf("header %q: %s", name, got)
		}
	}
	del := delivery("e")
	del.Payload.ContentType = "a\nb"
	if got := destinationtest.Verdict(d.Deliver(t.Context(), del)); got != "permanent" {
		t.Errorf("content type: %s", got)
	}
}

func TestWebhookIDIsInjective(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"a.b", "a%2Eb", "a%2eb", "a%252Eb", "a b", "a%20b", "a:b", "a", "é", "\xe9", "a\n", "A.B"} {
		enc := webhookID(id)
		if other, dup := seen[enc]; dup {
			t.Errorf("%q and %q are both %s", id, other, enc)
		}
		seen[enc] = id
		if strings.ContainsAny(enc, ". \n") {
			t.Errorf("%q became %q", id, enc)
		}
	}
}

func TestConnectionIsReused(t *testing.T) {
	for name, c := range map[string]struct{ body, limit, conns int }{
		"short answer": {100, 4096, 1}, "exactly the limit": {4096, 4096, 1}, "beyond the limit": {200 << 10, 4096, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			conns := map[string]bool{}
			d := open(t, Config{MaxResponseBytes: c.limit, URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				conns[r.RemoteAddr] = true
				mu.Unlock()
				_ = http.NewResponseController(w).Flush() // of a length that nobody says, so the end has to be read
				_, _ = w.Write(make([]byte, c.body))
			})})
			for range 3 {
				if err := d.Deliver(t.Context(), delivery("e")); err != nil {
					t.Fatal(err)
				}
			}
			if len(conns) != c.conns {
				t.Errorf("%d connections, want %d", len(conns), c.conns)
			}
		})
	}
}

// The status said that the receiver has it; what becomes of the body is nothing
// to retry for.
func TestSuccessWithBrokenBody(t *testing.T) {
	d := open(t, Config{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})})
	if err := d.Deliver(t.Context(), delivery("e")); err != nil {
		t.Error(err)
	}
}

func TestAttemptWithoutConnectionIsUnavailable(t *testing.T) {
	d := open(t, Config{URL: "http://203.0.113.1"})
	d.plain.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := d.Deliver(ctx, delivery("e"))
	if got := destinationtest.Verdict(err); got != "unavailable" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("verdict %q: %v", got, err)
	}
	if strings.Contains(err.Error(), "context deadline") {
		t.Errorf("%v: it says so a second time, in words of Go's", err)
	}
}

func TestHTTP2AndCAFile(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("Idempotency-Key") != "e:shop" {
			t.Errorf("%s %v", r.Proto, r.Header)
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	if err := open(t, Config{URL: s.URL, CAFile: writeCA(t, s)}).Deliver(t.Context(), delivery("e")); err != nil {
		t.Error(err)
	}
	err := open(t, Config{URL: s.URL}).Deliver(t.Context(), delivery("e"))
	if got := destinationtest.Verdict(err); got != "unavailable" || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown authority: %s: %v", got, err)
	}
}

func TestStatuses(t *testing.T) {
	d := open(t, Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header.Get("X-Retry-After"); v != "" {
			w.Header().Set("Retry-After", v)
		}
		code, _ := strconv.Atoi(r.Header.Get("X-Status"))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		if code != 204 && code != 304 {
			_, _ = io.WriteString(w, "because\x00\r\nof this")
		}
	})})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d.now = func() time.Time { return now }
	for _, c := range []struct {
		statuses []int
		after    string
		want     string
	}{
		{[]int{200, 201, 202, 204, 206, 226, 299}, "", "ok"},
		{[]int{300, 301, 302, 303, 304, 307, 308}, "", "permanent"},
		{[]int{400, 401, 403, 404, 405, 409, 413, 415, 422, 451, 499}, "", "permanent"},
		{[]int{410}, "", "unavailable after 10m0s"},
		{[]int{410}, "5", "unavailable after 5s"},
		{[]int{410}, "0", "unavailable after 10m0s"},
		{[]int{413}, "5", "retry after 5s"},
		{[]int{413}, "0", "retry"},
		{[]int{413}, "soon", "permanent"},
		{[]int{400, 404, 422, 301}, "5", "permanent"},
		{[]int{408, 425, 500, 501, 599}, "1.5", "retry after 1.5s"},
		{[]int{519, 531}, "", "retry"},
		{[]int{520, 521, 522, 523, 524, 525, 526, 527, 528, 529, 530}, "", "unavailable"},
		{[]int{520, 530}, "7", "unavailable after 7s"},
		{[]int{408, 425, 500, 501, 505, 511, 599, 600, 999}, "", "retry"},
		{[]int{429}, "", "unavailable after 1s"},
		{[]int{429}, "soon", "unavailable after 1s"},
		{[]int{502, 503, 504}, "", "unavailable"},
		{[]int{429, 502, 503, 504}, "7", "unavailable after 7s"},
		{[]int{503}, "Fri, 02 Jan 2026 03:05:05 GMT", "unavailable after 1m0s"},
		{[]int{503}, "Friday, 02-Jan-26 03:05:05 GMT", "unavailable after 1m0s"},
		{[]int{503}, "Fri Jan  2 03:05:05 2026", "unavailable after 1m0s"},
		{[]int{503}, "Fri, 02 Jan 2026 03:03:05 GMT", "unavailable"},
		{[]int{429}, "Fri, 02 Jan 2026 03:03:05 GMT", "unavailable after 1s"},
		{[]int{429}, "0.25", "unavailable after 250ms"},
		{[]int{503}, "-7", "unavailable"},
		{[]int{503}, "3600", "unavailable after 1h0m0s"},
		{[]int{503}, "3601", "unavailable after 1h0m0s"},
		{[]int{503}, "99999999999999999999999", "unavailable after 1h0m0s"},
		{[]int{503}, "-99999999999999999999999", "unavailable"},
		{[]int{503}, "9223372036854775807", "unavailable after 1h0m0s"},
		{[]int{503}, "Fri, 02 Jan 9999 03:03:05 GMT", "unavailable after 1h0m0s"},
		{[]int{503}, "soon", "unavailable"},
	} {
		for _, status := range c.statuses {
			del := delivery("e")
			del.Payload.Headers = map[string]string{"X-Status": strconv.Itoa(status), "X-Retry-After": c.after}
			err := d.Deliver(t.Context(), del)
			if got := destinationtest.Verdict(err); got != c.want {
				t.Errorf("%d, Retry-After %q: %s, want %s (%v)", status, c.after, got, c.want, err)
			}
			want := "webhook answered " + strconv.Itoa(status) + ": because of this"
			if status == 410 {
				want = "webhook answered 410 and asks for no more events; the destination pauses until it answers otherwise: because of this"
			}
			if err != nil && status != 304 && err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
		}
	}
}

func TestPermanentStatusesReplaceTheRule(t *testing.T) {
	status := 0
	d := open(t, Config{PermanentStatus: []int{410, 501, 429}, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })})
	for code, want := range map[int]string{413: "retry", 410: "permanent", 501: "permanent", 429: "permanent", 404: "retry", 302: "retry", 503: "unavailable"} {
		status = code
		if got := destinationtest.Verdict(d.Deliver(t.Context(), delivery("e"))); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
}

// A receiver that wanted no more events had all that were waiting for it
// poisoned one by one; none of them was at fault.
func TestGonePausesTheDestination(t *testing.T) {
	gone := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"the rule":               {Config{}, "unavailable after 10m0s"},
		"a shorter longest wait": {Config{MaxRetryAfter: time.Minute}, "unavailable after 1m0s"},
		"other statuses listed":  {Config{PermanentStatus: []int{404}}, "unavailable after 10m0s"},
		"listed":                 {Config{PermanentStatus: []int{410}}, "permanent"},
	} {
		c.cfg.URL = gone
		if got := destinationtest.Verdict(open(t, c.cfg).Deliver(t.Context(), delivery("e"))); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestSwitchingProtocolsDoesNotHang(t *testing.T) {
	d := open(t, Config{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = conn.Read(make([]byte, 1)) // until the client closes
	})})
	if got := destinationtest.Verdict(d.Deliver(t.Context(), delivery("e"))); got != "retry" {
		t.Error(got)
	}
}
