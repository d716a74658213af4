package app

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router/record"
)

// The canaries. Each is searched for as it is; what goes out in base64, so too.
const (
	canarySASL    = "canary-sasl-4f1c"
	canaryHeader  = "canary-bearer/9a2e+x&y"
	canaryBasic   = "canary-basic-77d0"
	canaryCookie  = "canary-cookie-1b3d"
	canaryQuery   = "canary query/5e6f"
	canaryPath    = "T0CANARY00PATH00TOKEN00"
	canaryProxy   = "canary-proxy-c2d4"
	canaryKey     = "canary-api-key-e8f1"
	canaryToken   = "canary-admin-token-a7b9"
	canaryOther   = "canary-wrong-key-3c5a"
	canaryPayload = "canary-payload <\"Zoë\"> 0d1e"
	canaryNumber  = "7731337733"
	canaryUser    = "canary-user-6b7c"
	canaryMeta    = "canary-meta-8899"
)

func canarySecret(s string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("canary-signing-%-24s", s)))
}

// leaks lists which of the canaries text holds.
func leaks(text string, canaries ...string) []string {
	var found []string
	for _, c := range canaries {
		forms := []string{c, strings.TrimPrefix(c, "whsec_"), base64.StdEncoding.EncodeToString([]byte(c)), strings.ReplaceAll(c, "/", `\/`),
			strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`, `"`, `\"`).Replace(c), strings.ReplaceAll(c, " ", "+")}
		if quoted := fmt.Sprintf("%q", c); quoted != `"`+c+`"` {
			forms = append(forms, quoted[1:len(quoted)-1])
		}
		for _, f := range forms {
			if i := strings.Index(text, f); i >= 0 {
				found = append(found, fmt.Sprintf("%s in ...%s...", f, text[max(0, i-300):min(len(text), i+len(f)+100)]))
				break
			}
		}
	}
	return found
}

var (
	secretCanaries  = []string{canarySecret("one"), canarySecret("next"), canarySASL, canaryHeader, canaryBasic, canaryCookie, canaryQuery, canaryPath, canaryProxy, canaryKey, canaryToken, canaryOther}
	payloadCanaries = []string{canaryPayload, canaryNumber, "Zoë"}
)

// echo answers as the event's type says, with all that it got: as text, as JSON
// and quoted, the way debugging servers and error pages do.
type echo struct {
	mu  sync.Mutex
	got map[string]int // attempts by type
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	typ := r.Header.Get("Event-Type")
	e.mu.Lock()
	e.got[typ]++
	e.mu.Unlock()
	user, password, _ := r.BasicAuth()
	said := fmt.Sprintf("%s %s %v %q %v %s:%s", r.URL, body, r.Header, body, r.URL.Query(), user, password)
	switch typ {
	case "t.500", "": // a batch has no type
		w.WriteHeader(http.StatusInternalServerError)
	case "t.400":
		w.WriteHeader(http.StatusBadRequest)
		said = fmt.Sprintf(`{"error":"invalid","headers":%s,"got":%s}`, jsonOf(r.Header), body)
	case "t.302":
		w.Header().Set("Location", "http://127.0.0.1/?"+said)
		w.WriteHeader(http.StatusFound)
	case "t.503":
		e.mu.Lock()
		n := e.got[typ]
		e.mu.Unlock()
		if n > 2 {
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	case "t.hang":
		<-r.Context().Done()
		return
	case "t.reset", "t.garbage":
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		if typ == "t.garbage" {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s %s\r\n\r\n", r.Header.Get("X-Secret"), body)
		} else {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
		return
	default:
		return
	}
	_, _ = io.WriteString(w, said)
}

func jsonOf(h http.Header) string {
	b, _ := json.Marshal(h) // of strings
	return string(b)
}

func digestOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// careless is a destination whose author quotes events wherever he can.
type careless struct{ id string }

func (c careless) ID() string { return c.id }

func (c careless) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	switch e.Type {
	case "t.transform-error":
		return destinations.Payload{}, fmt.Errorf("no room for %s", e.Data)
	case "t.transform-panic":
		panic(fmt.Sprintf("cannot take %q", e.Data))
	}
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

func (c careless) Deliver(_ context.Context, d destinations.Delivery) error {
	switch d.EventType {
	case "t.error":
		return fmt.Errorf("bad order %s of %s, %v", d.Payload.Body, d.Key, d.Metadata)
	case "t.permanent":
		return destinations.Permanent(fmt.Errorf("never: %q", d.Payload.Body))
	case "t.panic":
		panic(string(d.Payload.Body))
	case "t.runtime-panic":
		return errors.New(string(d.Payload.Body[len(d.Payload.Body):][0]))
	}
	return nil
}

// canaryConfig has every kind, with a canary wherever a secret may stand.
func canaryConfig(t *testing.T, broker, receiver, tlsReceiver, disk string) string {
	t.Helper()
	t.Setenv("CANARY_SECRET", canarySecret("one"))
	t.Setenv("CANARY_HEADER", canaryHeader)
	refusing := closedAddr(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		_, _ = fmt.Fprintf(w, "who is %v", r.Header)
	}))
	t.Cleanup(proxy.Close)
	headers := `{Authorization: "Bearer ${CANARY_HEADER}", X-Secret: "${CANARY_HEADER}", Cookie: "sid=` + canaryCookie + `"}`
	tail := "allow_private: true, timeout: 300ms, retry: {initial: 1ms, max: 2ms, attempts: 2}, breaker: {initial: 1ms, max: 2ms, failures: 1000}"
	few := "types: [t.some], " + tail
	query := strings.ReplaceAll(canaryQuery, " ", "%20")
	return "http:\n  addr: '127.0.0.1:0'\n  metadata_headers: [x-tenant]\n  max_event_bytes: 64KiB\n  keys: [{name: shop, sha256: [" + digestOf(canaryKey) + "]}]\n" +
		"admin: {addr: '127.0.0.1:0', tokens: [{name: ann, role: write, sha256: [" + digestOf(canaryToken) + "]}]}\n" +
		"broker: {kind: kafka, brokers: ['" + broker + "'], partitions: 2, sasl: {mechanism: PLAIN, user: es, password: " + canarySASL + "}}\n" +
		"schemas: {dir: ../schemas}\ndestinations:\n" +
		"- {id: echo, kind: webhook, url: '" + receiver + "/hooks/" + canaryPath + "?key=" + query + "', secret: '${CANARY_SECRET}', secret_next: '" + canarySecret("next") + "', headers: " + headers + ", types: [t.*], " + tail + "}\n" +
		"- {id: basic, kind: webhook, url: '" + receiver + "/', headers: {Authorization: 'Basic " + base64.StdEncoding.EncodeToString([]byte("es:"+canaryBasic)) + "'}, batch: {max_events: 5}, types: [t.500, t.400], " + tail + "}\n" +
		"- {id: unknown-ca, kind: webhook, url: '" + tlsReceiver + "/?key=" + query + "', headers: " + headers + ", " + few + "}\n" +
		"- {id: refused, kind: webhook, url: 'http://" + refusing + "/" + canaryPath + "?key=" + query + "', " + few + "}\n" +
		"- {id: proxied, kind: webhook, url: 'https://example.invalid/?key=" + query + "', proxy: 'http://es:" + canaryProxy + "@" + strings.TrimPrefix(proxy.URL, "http://") + "', " + few + "}\n" +
		"- {id: cluster, kind: kafka, brokers: ['" + refusing + "'], topic: t, sasl: {mechanism: PLAIN, user: es, password: " + canarySASL + "}, " + strings.Replace(few, "allow_private: true, ", "", 1) + "}\n" +
		"- {id: disk, kind: file, path: '" + disk + "/x.jsonl', types: [t.some], timeout: 300ms}\n" +
		"- {id: careless, kind: careless, types: [t.*], retry: {initial: 1ms, max: 2ms, attempts: 2}}\n" +
		"- {id: calculating, kind: log, types: [t.*, order.placed], transform: 'int(event.data.note) + 1', retry: {initial: 1ms, attempts: 1}}\n" +
		"- {id: choosy, kind: log, types: [t.*], filter: 'event.data[event.data.note] == 1'}\n"
}

// No secret and no payload is in a log of any level, in the metrics, in what the
// admin API shows or in the reasons of the poison queues, whatever goes wrong. A
// user's key is in none of the first two.
func TestCanaries(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond), kfake.EnableSASL(), kfake.Superuser("PLAIN", "es", canarySASL))
	require.NoError(t, err)
	defer cluster.Close()
	receiver := &echo{got: map[string]int{}}
	site := httptest.NewServer(receiver)
	defer site.Close()
	secure := httptest.NewUnstartedServer(receiver)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.StartTLS()
	defer secure.Close()

	logs := map[string]*output{}
	var handlers []slog.Handler
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		text, objects := &output{}, &output{}
		logs["text at "+level.String()], logs["JSON at "+level.String()] = text, objects
		handlers = append(handlers, slog.NewTextHandler(text, &slog.HandlerOptions{Level: level}), slog.NewJSONHandler(objects, &slog.HandlerOptions{Level: level}))
	}
	debug := logs["text at DEBUG"]
	kind := NewKind("careless", func(id string, _ struct{}) (destinations.Destination, error) { return careless{id}, nil })
	o := Options{Kinds: []Kind{kind}, Stdout: io.Discard, Logger: slog.New(slog.NewMultiHandler(handlers...))}
	disk := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(disk, 0o700))
	cfg, err := config.Parse("canary.yaml", []byte(canaryConfig(t, cluster.ListenAddrs()[0], site.URL, secure.URL, disk)), config.Checks{Kinds: o.checks(), Here: true})
	require.NoError(t, err)
	a := started(t, cfg, o)
	require.NoError(t, errors.Join(os.RemoveAll(disk), os.WriteFile(disk, nil, 0o600)))
	front, steer := "http://"+a.Addr(), "http://"+a.AdminAddr()

	shown := badRequests(t, front, steer)
	// Every way of failing, and what each destination makes of it.
	types := []string{"t.500", "t.400", "t.302", "t.503", "t.hang", "t.reset", "t.garbage", "t.transform-error", "t.transform-panic", "t.error", "t.permanent", "t.panic", "t.runtime-panic", "t.some"}
	note := strings.ReplaceAll(canaryPayload, `"`, `\"`)
	for i, typ := range types {
		body := fmt.Sprintf(`{"id":"e-%s","type":%q,"key":"%s-%d","note":"%s","number":%s,"list":["%s"]}`, typ, typ, canaryUser, i, note, canaryNumber, note)
		status, answer := asked(t, http.MethodPost, front+"/v1/events", body, canaryKey)
		require.Equal(t, http.StatusAccepted, status, answer)
	}
	// What another program could put on the topic.
	foreign := func(md message.Metadata, body string) {
		m := message.NewMessage("x", []byte(body))
		m.Metadata = md
		m.Metadata[infra.MetaKey] = canaryUser
		require.NoError(t, a.broker.Publisher(infra.Durable).Publish(record.EventsTopic, m))
	}
	foreign(message.Metadata{}, `{"note":"`+note+`"}`)
	foreign(message.Metadata{"ce_id": "f1", "ce_type": "t.500", "es_received_at": canaryPayload}, note)
	foreign(message.Metadata{"ce_id": "f2", "ce_type": "t.500", "content-type": "text/plain"}, canaryPayload)
	foreign(message.Metadata{"ce_id": "f3", "ce_type": "order.placed"}, `{"customerId":"`+note+`","status":"`+note+`","total":`+canaryNumber+`}`)

	reasons := awaitPoison(t, a, map[string][]string{
		"echo":        {"", "f1", "f2", "e-t.500", "e-t.400", "e-t.302", "e-t.hang", "e-t.reset", "e-t.garbage"},
		"basic":       {"", "f1", "f2", "e-t.500", "e-t.400"},
		"careless":    {"", "f1", "e-t.transform-error", "e-t.transform-panic", "e-t.error", "e-t.permanent", "e-t.panic", "e-t.runtime-panic"},
		"calculating": {"f2", "f3", "e-t.some"},
		"choosy":      {"f2", "e-t.some"},
	})
	awaitLine(t, debug, "level=WARN", "its events", "destination=echo") // wait or are tried again: there is one line until it succeeds
	for _, dest := range []string{"unknown-ca", "refused", "proxied", "cluster", "disk"} {
		awaitLine(t, debug, "destination is unavailable; its events wait", "destination="+dest)
	}

	paths := adminPaths(t)
	delete(paths, "/v1/tail") // an answer without an end, unless it has seen all
	for topic, query := range map[string]string{record.EventsTopic: "", record.DestinationTopic("echo"): "&destination=echo", record.PoisonTopic("echo"): "&destination=echo&poison=true"} {
		bounds, err := a.broker.Bounds(t.Context(), topic, time.Time{})
		require.NoError(t, err)
		all := int64(0)
		for _, b := range bounds {
			all += b.End - b.Oldest
		}
		paths[fmt.Sprintf("/v1/tail?from=beginning&count=%d%s", all, query)] = true
	}
	for path := range paths {
		_, answer := asked(t, http.MethodGet, steer+path, "", canaryToken)
		if strings.HasPrefix(path, "/v1/tail") {
			assert.Contains(t, answer, `{"record":{`, path)
		}
		shown["admin "+path] = answer
	}
	_, shown["metrics"] = asked(t, http.MethodGet, front+"/metrics", "", "")
	for name, log := range logs {
		shown["log as "+name] = log.String()
	}
	for name, text := range shown {
		assert.NotEmpty(t, text, name)
		canaries := append(slices.Clone(secretCanaries), payloadCanaries...)
		canaries = append(canaries, canaryMeta)
		if strings.HasPrefix(name, "log") || name == "metrics" {
			canaries = append(canaries, canaryUser)
		}
		for _, leak := range leaks(text, canaries...) {
			t.Errorf("%s: %s", name, leak)
		}
	}
	masked := map[string]bool{}
	for id, headers := range reasons {
		for name, value := range headers {
			canaries := secretCanaries
			if strings.HasPrefix(name, "es_poison_") {
				canaries = append(slices.Clone(secretCanaries), payloadCanaries...)
				canaries = append(canaries, canaryMeta)
			}
			for _, leak := range leaks(value, canaries...) {
				t.Errorf("poison %s, %s: %s", id, name, leak)
			}
			masked["[event]"] = masked["[event]"] || strings.Contains(value, "[event]")
			masked["[secret]"] = masked["[secret]"] || strings.Contains(value, "[secret]")
		}
	}
	// The test would pass if nothing had been said at all.
	assert.Equal(t, map[string]bool{"[event]": true, "[secret]": true}, masked)
	for _, want := range []string{"moved to the poison queue", "attempt failed", "webhook answered 500", "panic with a string", "index out of range", "webhook connection broke", "certificate signed by unknown authority", "connection refused", "not a directory"} {
		assert.Contains(t, debug.String(), want)
	}
}

// badRequests sends what both servers refuse, and returns their answers: to the
// front without those about what the client itself had sent.
func badRequests(t *testing.T, front, steer string) map[string]string {
	t.Helper()
	shown := map[string]string{}
	for i, body := range []string{`{"note":"` + canaryPayload, "", "[]", `[{"note":"x"},` + canaryNumber + `]`, `{"type":7,"note":"` + canaryNumber + `"}`, strings.Repeat("x", 1<<20), "\x1f\x8b" + canaryPayload} {
		status, _ := asked(t, http.MethodPost, front+"/v1/events", body, canaryKey)
		assert.GreaterOrEqual(t, status, 400, "%d", i)
	}
	for name, c := range map[string]struct{ method, url, body, key string }{
		"wrong key":           {"POST", front + "/v1/events", "{}", canaryOther},
		"unknown path":        {"GET", front + "/" + canaryPath + "?key=" + canaryOther, "", canaryOther},
		"wrong method":        {"DELETE", front + "/v1/events", canaryNumber, canaryKey},
		"admin wrong token":   {"GET", steer + "/v1/config", "", canaryOther},
		"admin unknown path":  {"GET", steer + "/" + canaryPath, "", canaryToken},
		"admin wrong method":  {"PUT", steer + "/v1/config", canaryNumber, canaryToken},
		"admin bad parameter": {"GET", steer + "/v1/config?x=" + canaryNumber, "", canaryToken},
	} {
		status, answer := asked(t, c.method, c.url, c.body, c.key)
		assert.GreaterOrEqual(t, status, 400, name)
		shown[name] = answer
	}
	// What is no HTTP.
	for _, url := range []string{front, steer} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		_, _ = io.WriteString(conn, canaryOther+" "+canaryNumber+"\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		shown["no HTTP to "+url] = string(answer)
		_ = conn.Close()
	}
	return shown
}

// Faults of a configuration and of a start name no secret.
func TestCanariesInFailedStarts(t *testing.T) {
	t.Setenv("CANARY", canaryOther)
	webhook := "destinations: [{id: a, kind: webhook, url: 'https://example.com', "
	for name, yaml := range map[string]string{
		"secret":     webhook + "secret: " + canaryOther + "}]",
		"expanded":   webhook + "secret: '${CANARY}'}]",
		"file":       webhook + "secret_file: " + canaryOther + "}]",
		"header":     webhook + "headers: {Host: '${CANARY}', X-A: \"a\\n" + canaryOther + "\"}}]",
		"url":        "destinations: [{id: a, kind: webhook, url: 'ftp://es:" + canaryOther + "@example.com/?key=" + canaryOther + "'}]",
		"user":       "destinations: [{id: a, kind: webhook, url: 'https://es:" + canaryOther + "@example.com/'}]",
		"proxy":      webhook + "proxy: 'gopher://es:" + canaryOther + "@p'}]",
		"key":        "http: {keys: [{name: a, sha256: [" + canaryOther + "]}]}\ndestinations: []",
		"token":      "admin: {tokens: [{name: a, role: read, sha256: ['${CANARY}']}]}\ndestinations: []",
		"sasl":       "broker: {kind: kafka, brokers: [k:1], sasl: {mechanism: PLAIN, password: " + canaryOther + ", user: ''}}\ndestinations: []",
		"not YAML":   "http: {keys: [" + canaryOther + ": {a: b: c]}",
		"alias":      webhook + "secret: *" + canaryOther + "}]",
		"tag":        webhook + "secret: !" + canaryOther + " x}]",
		"other form": webhook + "secret: [" + canaryOther + "]}]",
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := config.Parse("c.yaml", []byte(yaml), config.Checks{Kinds: Options{}.checks(), Here: true})
			if err == nil { // some are found by the start
				_, err = New(t.Context(), cfg, Options{})
			}
			require.Error(t, err)
			assert.Empty(t, leaks(err.Error(), canaryOther))
		})
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "es", canarySASL))
	require.NoError(t, err)
	defer cluster.Close()
	log := &output{}
	_, err = New(t.Context(), parsed(t, "broker: {kind: kafka, brokers: ['"+cluster.ListenAddrs()[0]+"'], sasl: {mechanism: PLAIN, user: es, password: "+canaryOther+"}}\ndestinations: []"),
		Options{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	require.Error(t, err)
	assert.Empty(t, leaks(err.Error()+log.String(), canaryOther, canarySASL))
}

// One line for each change of state: a thousand events, delivered or given up,
// make as many lines as ten.
func TestLogDoesNotGrowWithEvents(t *testing.T) {
	t.Parallel()
	lines := func(t *testing.T, typ string, n int) int {
		log := &output{}
		done := make(chan struct{}, n)
		kind := NewKind("counting", func(id string, _ struct{}) (destinations.Destination, error) { return counting{id, done}, nil })
		o := Options{Kinds: []Kind{kind}, Stdout: io.Discard, Logger: slog.New(slog.NewTextHandler(log, nil))}
		cfg, err := config.Parse("t", []byte("http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\ndestinations:\n- {id: d, kind: counting, retry: {initial: 1ms, max: 2ms, attempts: 1}}\n"), config.Checks{Kinds: o.checks(), Here: true})
		require.NoError(t, err)
		a := started(t, cfg, o)
		for i := range n {
			require.NoError(t, a.Put(t.Context(), destinations.Event{ID: fmt.Sprint("e", i), Type: typ, Key: fmt.Sprint("u", i%7), Data: []byte(`{}`)}))
		}
		limit := time.After(time.Minute)
		for i := range n {
			select {
			case <-done:
			case <-limit:
				t.Fatalf("%d of %d came", i, n)
			}
		}
		require.NoError(t, a.Close())
		return strings.Count(log.String(), "\n")
	}
	for _, typ := range []string{"good", "bad"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			few, many := lines(t, typ, 10), lines(t, typ, 1000)
			assert.Equal(t, few, many)
			assert.Positive(t, few)
		})
	}
}

type counting struct {
	id   string
	done chan struct{}
}

func (c counting) ID() string { return c.id }

func (c counting) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{Body: e.Data}, nil
}

func (c counting) Deliver(_ context.Context, d destinations.Delivery) error {
	defer func() { c.done <- struct{}{} }()
	if d.EventType == "bad" {
		return destinations.Permanent(errors.New("no"))
	}
	return nil
}

// adminPaths are those that can be read without further ado.
func adminPaths(t *testing.T) map[string]bool {
	t.Helper()
	doc, err := admin.Document()
	require.NoError(t, err)
	var document struct{ Paths map[string]map[string]any }
	require.NoError(t, json.Unmarshal(doc, &document))
	paths := map[string]bool{admin.PathDocument: true}
	for path, methods := range document.Paths {
		if _, ok := methods["get"]; !ok {
			continue
		}
		if !strings.Contains(path, "{destination}") {
			paths[path] = true
			continue
		}
		for _, id := range []string{"echo", "careless", "calculating", "refused"} {
			paths[strings.ReplaceAll(path, "{destination}", id)] = true
		}
	}
	require.Greater(t, len(paths), 2)
	return paths
}

func asked(t *testing.T, method, url, body, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Tenant", canaryMeta)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func closedAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// awaitPoison waits until each destination has given up its events, and returns
// the headers of all records of poison queues, by destination and event.
func awaitPoison(t *testing.T, a *App, want map[string][]string) map[string]message.Metadata {
	t.Helper()
	reader := a.broker
	var found map[string]message.Metadata
	for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) {
		found = map[string]message.Metadata{}
		missing := ""
		for dest, ids := range want {
			topic := record.PoisonTopic(dest)
			bounds, err := reader.Bounds(t.Context(), topic, time.Time{})
			require.NoError(t, err)
			ranges := map[int32]infra.Range{}
			for p, b := range bounds {
				ranges[p] = infra.Range{From: b.Oldest, To: b.End}
			}
			require.NoError(t, reader.Scan(t.Context(), topic, ranges, func(m *message.Message, _ time.Time) error {
				found[dest+" "+m.Metadata["ce_id"]] = m.Metadata
				return nil
			}))
			for _, id := range ids {
				if found[dest+" "+id] == nil {
					missing += dest + " " + id + "\n"
				}
			}
		}
		if missing == "" {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("not in the poison queues: %s", missing)
		}
	}
}

// awaitLine waits for a line of the log with all of words.
func awaitLine(t *testing.T, log *output, words ...string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
	lines:
		for line := range strings.SplitSeq(log.String(), "\n") {
			for _, w := range words {
				if !strings.Contains(line, w) {
					continue lines
				}
			}
			return
		}
	}
	t.Fatalf("no line with %q in\n%s", words, log)
}
