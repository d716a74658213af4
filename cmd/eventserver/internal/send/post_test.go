package send

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/app"
	"eventserver/app/config"
)

// answers is a server of the test: it gives each request the next answer, and
// then 202 with ids of the events' n.
type answers struct {
	next   []func(events []json.RawMessage) *http.Response
	bodies []string
	heads  []http.Header
	times  []time.Time
}

// RoundTrip implements http.RoundTripper.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost || r.URL.String() != "http://127.0.0.1:8080/v1/events" {
		return nil, fmt.Errorf("%s %s", r.Method, r.URL)
	}
	a.bodies, a.heads, a.times = append(a.bodies, string(body)), append(a.heads, r.Header), append(a.times, time.Now())
	var events []json.RawMessage
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, err
	}
	if len(a.next) > 0 {
		f := a.next[0]
		a.next = a.next[1:]
		if resp := f(events); resp != nil {
			return resp, nil
		}
		return nil, errors.New("the connection broke")
	}
	var ids struct {
		IDs []string `json:"ids"`
	}
	for _, e := range events {
		var n struct{ N int }
		if err := json.Unmarshal(e, &n); err != nil {
			return nil, err
		}
		ids.IDs = append(ids.IDs, fmt.Sprint("id", n.N))
	}
	out, err := json.Marshal(ids)
	return says(202, string(out))(nil), err
}

func says(status int, body string, header ...string) func([]json.RawMessage) *http.Response {
	return func([]json.RawMessage) *http.Response {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
	}
}

// numbered are events with n from 1.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"n\":%d}\n", i+1)
	}
	return b.String()
}

// posted runs Run against a, in a bubble whose clock jumps.
func posted(ctx context.Context, a *answers, c Config, in io.Reader) (stored int, ids []string, log string, err error) {
	var out bytes.Buffer
	c.transport = a
	c.Stored = func(got []string) error { ids = append(ids, got...); return nil }
	o := app.Options{Logger: slog.New(slog.NewTextHandler(&out, nil))}
	stored, err = Run(ctx, config.Default(), o, c, in)
	return stored, ids, out.String(), err
}

func TestSendPostsInBatchesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{}
		stored, ids, log, err := posted(t.Context(), a, Config{Type: "t", APIKey: "s3cret", Batch: 100}, strings.NewReader(numbered(250)))
		require.NoError(t, err)
		assert.Equal(t, 250, stored)
		require.Len(t, ids, 250)
		for i, id := range ids {
			require.Equal(t, fmt.Sprint("id", i+1), id)
		}
		var sizes []int
		for _, b := range a.bodies {
			sizes = append(sizes, strings.Count(b, `"type"`))
		}
		assert.Equal(t, []int{100, 100, 50}, sizes)
		assert.True(t, strings.HasPrefix(a.bodies[0], `[{"type":"t","n":1},{"type":"t","n":2},`))
		assert.Equal(t, "Bearer s3cret", a.heads[0].Get("Authorization"))
		assert.Equal(t, "application/json", a.heads[0].Get("Content-Type"))
		assert.Empty(t, log)
	})
}

// A batch is not larger than servers take, and waits for more only for a moment.
func TestSendBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := strings.Repeat("x", 1<<20)
		a := &answers{}
		_, _, _, err := posted(t.Context(), a, Config{}, strings.NewReader(strings.Repeat(`{"a":"`+big+`"}`, 7)))
		require.NoError(t, err)
		require.Len(t, a.bodies, 3)
		for _, b := range a.bodies {
			assert.Less(t, len(b), maxBatchBytes+10)
		}

		a = &answers{}
		r, w := io.Pipe()
		go func() {
			for n := range 3 {
				_, _ = fmt.Fprintf(w, "{\"n\":%d}\n", n)
				<-time.After(time.Second)
			}
			_ = w.Close()
		}()
		_, _, _, err = posted(t.Context(), a, Config{}, r)
		require.NoError(t, err)
		assert.Equal(t, []string{`[{"n":0}]`, `[{"n":1}]`, `[{"n":2}]`}, a.bodies)
		assert.Equal(t, time.Second, a.times[1].Sub(a.times[0]))
	})
}

func TestSendTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a := &answers{next: []func([]json.RawMessage) *http.Response{
			says(503, "", "Retry-After", "7"),
			says(429, "", "Retry-After", began.Add(20*time.Second).UTC().Format(http.TimeFormat)),
			says(503, ""),
			says(503, "", "Retry-After", "soon"),
			says(429, "", "Retry-After", "99999999999999999999"),
			says(429, "", "Retry-After", "4000000000"),
		}}
		stored, ids, log, err := posted(t.Context(), a, Config{Retries: 6, APIKey: "s3cret"}, strings.NewReader(numbered(2)))
		require.NoError(t, err)
		assert.Equal(t, 2, stored)
		assert.Equal(t, []string{"id1", "id2"}, ids)
		var waits []time.Duration
		for i, at := range a.times[1:] {
			waits = append(waits, at.Sub(a.times[i]).Round(time.Second))
			assert.Equal(t, a.bodies[0], a.bodies[i], "the same events again")
		}
		assert.Equal(t, []time.Duration{7 * time.Second, 13 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, time.Hour}, waits)
		assert.Contains(t, log, `msg="the server is busy; sending again" status=503 wait=7s try=1 of=6`)
		assert.NotContains(t, log, "s3cret")
	})
}

func TestSendGivesUp(t *testing.T) {
	const at = "http://127.0.0.1:8080/v1/events answered "
	busy := says(503, `{"detail":"the broker did not answer"}`, "Retry-After", "1")
	for name, c := range map[string]struct {
		next   []func([]json.RawMessage) *http.Response
		in     string
		stored int
		want   string
	}{
		"tried often": {[]func([]json.RawMessage) *http.Response{busy, busy, busy}, numbered(3), 0,
			"line 1 to line 3: " + at + `503 Service Unavailable 3 times: {"detail":"the broker did not answer"}; no event is stored`},
		"the event at fault": {[]func([]json.RawMessage) *http.Response{says(202, `{"ids":["a","b","c"]}`), busy, says(422, `{"status":422,"detail":"[1]: order.placed v1: bad","index":1}`+"\n")}, "{}\n\n" + numbered(6), 3,
			"line 6: " + at + `422 Unprocessable Entity 2 times: {"status":422,"detail":"[1]: order.placed v1: bad","index":1}; 3 events are stored, all before line 5`},
		"of an array": {[]func([]json.RawMessage) *http.Response{says(400, `{"index":2}`)}, "[{},\n{},{}]", 0,
			"line 2, [2]: " + at + `400 Bad Request: {"index":2}; no event is stored`},
		"an index that cannot be": {[]func([]json.RawMessage) *http.Response{says(400, `{"index":-1}`)}, "{}", 0,
			"line 1: " + at + `400 Bad Request: {"index":-1}; no event is stored`},
		"no key": {[]func([]json.RawMessage) *http.Response{says(401, "{}")}, "{}", 0,
			"line 1: " + at + `401 Unauthorized: {}; give the key with --api-key-file or EVENTSERVER_API_KEY; no event is stored`},
		"too large": {[]func([]json.RawMessage) *http.Response{says(413, "{}")}, "{}{}", 0,
			"line 1: " + at + `413 Request Entity Too Large: {}; a smaller --batch may help; no event is stored`},
		"a redirect": {[]func([]json.RawMessage) *http.Response{says(301, "", "Location", "http://127.0.0.1:8080/elsewhere")}, "{}", 0,
			"line 1: " + at + `301 Moved Permanently: ; no event is stored`},
		"no event-server": {[]func([]json.RawMessage) *http.Response{says(404, "<h1>\x1b[31mno\xff</h1>"+strings.Repeat("x", 3000))}, "{}", 0,
			"line 1: " + at + `404 Not Found: <h1>\u001b[31mno?</h1>` + strings.Repeat("x", 1983) + "... (3017 bytes); no event is stored"},
		"no ids":       {[]func([]json.RawMessage) *http.Response{says(202, "ok")}, "{}", 0, "http://127.0.0.1:8080/v1/events answered 202 without the ids of 1 event: is it eventserver? ok; no event is stored"},
		"too few ids":  {[]func([]json.RawMessage) *http.Response{says(202, `{"ids":["a"]}`)}, "{}{}", 0, `http://127.0.0.1:8080/v1/events answered 202 without the ids of 2 events: is it eventserver? {"ids":["a"]}; no event is stored`},
		"a cut":        {[]func([]json.RawMessage) *http.Response{says(202, `{"ids":["a","b","c"]}`), func([]json.RawMessage) *http.Response { return nil }}, numbered(4), 3, `line 4: http://127.0.0.1:8080/v1/events gave no answer: the connection broke; whether these are stored is not known; 3 events are stored, all before line 4`},
		"a bad line":   {nil, "{\"n\":1}\n{\"n\":2}\n{", 2, "line 3: the JSON ends too early; send it whole; 2 events are stored"},
		"another type": {nil, "{\"n\":1}\n{\"type\":\"x\"}", 1, `line 2: its type is "x", and --type says "t"; leave --type out, or send the others apart; 1 event is stored`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stored, ids, log, err := posted(t.Context(), &answers{next: c.next}, Config{Type: "t", Batch: 3, Retries: 2, APIKey: "s3cret"}, strings.NewReader(c.in))
				assert.EqualError(t, err, c.want)
				assert.Equal(t, c.stored, stored)
				assert.Len(t, ids, c.stored)
				assert.NotContains(t, log+err.Error(), "s3cret")
			})
		})
	}
}

func TestSendIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // while it waits for the server
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		a := &answers{next: []func([]json.RawMessage) *http.Response{says(202, `{"ids":["a","b","c"]}`), says(503, "", "Retry-After", "600")}}
		stored, _, _, err := posted(ctx, a, Config{Batch: 3, Retries: 1}, strings.NewReader(numbered(5)))
		assert.EqualError(t, err, "interrupted while waiting for the server, which answered 503; 3 events are stored, all before line 4")
		assert.Equal(t, 3, stored)
	})
	synctest.Test(t, func(t *testing.T) { // while it waits for more
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		r, w := io.Pipe()
		go func() { _, _ = io.WriteString(w, numbered(2)) }()
		stored, _, _, err := posted(ctx, &answers{}, Config{}, r)
		assert.EqualError(t, err, "interrupted; 2 events are stored")
		assert.ErrorIs(t, err, errInterrupted)
		assert.Equal(t, 2, stored)
		_ = r.Close() // what Read waits for goes on behind Run
	})
	synctest.Test(t, func(t *testing.T) { // a request under way is waited for
		ctx, cancel := context.WithCancel(t.Context())
		a := &answers{}
		a.next = append(a.next, func([]json.RawMessage) *http.Response {
			cancel()
			return says(202, `{"ids":["a","b"]}`)(nil)
		})
		stored, ids, _, err := posted(ctx, a, Config{Batch: 2}, strings.NewReader(numbered(5)))
		assert.EqualError(t, err, "interrupted; 2 events are stored")
		assert.Equal(t, 2, stored)
		assert.Equal(t, []string{"a", "b"}, ids)
	})
}

func TestSendStopsWhenNobodyTakesTheIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored, err := Run(t.Context(), config.Default(), app.Options{}, Config{Batch: 2, transport: &answers{},
			Stored: func([]string) error { return errors.New("broken pipe") }}, strings.NewReader(numbered(5)))
		assert.EqualError(t, err, "broken pipe; 2 events are stored")
		assert.Equal(t, 2, stored)
	})
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	cfg := func(addr string) *config.Config {
		c := config.Default()
		c.HTTP.Addr = addr
		return c
	}
	for _, c := range []struct {
		send Config
		cfg  *config.Config
		want string
	}{
		{Config{URL: "http://key:s3cret@host"}, config.Default(), "--url: holds credentials, which errors would show; give the API key with --api-key-file"},
		{Config{URL: "http://s3cret%@host"}, config.Default(), "--url: is not a URL; write one such as http://127.0.0.1:8080"},
		{Config{URL: "localhost:8080"}, config.Default(), `--url: "localhost:8080" is not one such as http://127.0.0.1:8080`},
		{Config{URL: "ftp://host"}, config.Default(), `--url: "ftp://host" is not one such as http://127.0.0.1:8080`},
		{Config{}, cfg("127.0.0.1:0"), `http.addr: "127.0.0.1:0" names no port to send to; give --url`},
		{Config{Key: "\xff"}, config.Default(), "--key: is not UTF-8"},
		{Config{Batch: -1}, config.Default(), "--batch, --retries: write at least 1 for the one, 0 for the other"},
		{Config{Broker: true, URL: "http://host"}, config.Default(), "--broker: asks no server, so leave --url and --api-key-file out"},
	} {
		_, err := Run(t.Context(), c.cfg, app.Options{}, c.send, strings.NewReader("{}"))
		assert.EqualError(t, err, c.want)
	}
	for addr, want := range map[string]string{":9000": "http://127.0.0.1:9000", "0.0.0.0:9000": "http://127.0.0.1:9000", "[::]:9000": "http://127.0.0.1:9000", "[::1]:9000": "http://[::1]:9000", "host:80": "http://host:80"} {
		got, err := serverURL(cfg(addr))
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	// The address that nobody listens on is told with its cure.
	_, err := Run(t.Context(), cfg("127.0.0.1:1"), app.Options{}, Config{}, strings.NewReader("{}"))
	assert.EqualError(t, err, `line 1: no server answers at http://127.0.0.1:1/v1/events (connection refused); start eventserver, or say with --url where it listens; no event is stored`)
}
