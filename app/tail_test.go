package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/app/schema"
	"eventserver/destinations"
	"eventserver/infra"
)

// refuser is a destination that wants nothing that it gets.
type refuser struct{ destinations.Destination }

func (refuser) ID() string { return "bad" }

func (refuser) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: "text/plain", Headers: map[string]string{"X-A": "b"}, Body: []byte("\x00 not \xff JSON: " + e.ID)}, nil
}

func (refuser) Deliver(context.Context, destinations.Delivery) error {
	return destinations.Permanent(errors.New("no\x1b[31m, never"))
}

// tail is how the events of a server are followed: through its admin API, or on
// the cluster.
type tail func(ctx context.Context, out io.Writer, c TailConfig) error

// tailOf asks the server.
func tailOf(a *App) tail {
	return func(ctx context.Context, out io.Writer, c TailConfig) error {
		if err := c.Check(); err != nil {
			return err
		}
		err := (&admin.Client{BaseURL: "http://" + a.AdminAddr()}).Tail(ctx, c.Question(), admin.TailReader{
			Started: func(s admin.TailStarted) {
				if c.Started != nil {
					c.Started(s.Topic, s.Partitions)
				}
			},
			Record: func(line []byte) error { _, err := out.Write(append(line, '\n')); return err },
		})
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
}

// lines runs it until it has shown count events.
func (to tail) lines(t *testing.T, c TailConfig, count int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	c.Count = count
	require.NoError(t, to(ctx, &out, c))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, count, "in 30 s")
	return lines
}

type shown struct {
	Received string `json:"received_at"`
	Topic    string `json:"topic"`
	Offset   int64  `json:"offset"`
	ID       string `json:"id"`
	Type     string `json:"type"`
	Key      string `json:"key"`
	Sequence *int64 `json:"sequence"`
	Stage    string `json:"stage"`
	Reason   string `json:"reason"`
	Detail   string `json:"detail"`
	Attempts int    `json:"attempts"`
	Last     string `json:"last_attempt"`
	Headers  map[string]string
	Data     json.RawMessage `json:"data"`
	Binary   []byte          `json:"data_base64"`
}

func parsedLines(t *testing.T, lines []string) []shown {
	t.Helper()
	out := make([]shown, len(lines))
	for i, l := range lines {
		require.NoError(t, json.Unmarshal([]byte(l), &out[i]), l)
	}
	return out
}

func TestSendAndTail(t *testing.T) {
	t.Parallel()
	sendAndTail(t, "{dir: '"+t.TempDir()+"', partitions: 4}")
}

func TestSendAndTailInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("the same as on the embedded broker")
	}
	t.Parallel()
	sendAndTail(t, "{kind: memory, partitions: 4}")
}

func TestSendAndTailOnACluster(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	sendAndTail(t, "{kind: kafka, brokers: ['"+cluster.ListenAddrs()[0]+"'], partitions: 4, topic_prefix: p.}")
}

// TestSendAndTailOnKafka needs EVENTSERVER_TEST_KAFKA.
func TestSendAndTailOnKafka(t *testing.T) {
	addrs := os.Getenv("EVENTSERVER_TEST_KAFKA")
	if addrs == "" {
		t.Skip("EVENTSERVER_TEST_KAFKA is not set")
	}
	sendAndTail(t, fmt.Sprintf("{kind: kafka, brokers: [%s], partitions: 4, topic_prefix: tail%d.}", addrs, time.Now().UnixNano()))
}

// What is sent over HTTP and to the broker is shown in order, at its filters,
// and to look at it changes nothing.
func sendAndTail(t *testing.T, broker string) {
	o := Options{Stdout: &output{}, Kinds: []Kind{NewKind("refuser", func(string, struct{}) (destinations.Destination, error) { return refuser{}, nil })}}
	cfg, err := config.Parse("test", []byte("http: {addr: '127.0.0.1:0'}\nbroker: "+broker+"\nschemas: {dir: ../schemas}\n"+
		"destinations: [{id: log, kind: log}, {id: bad, kind: refuser, types: ['bad.*']}]"), config.Checks{Kinds: o.checks(), Here: true})
	require.NoError(t, err)
	a := started(t, cfg, o)
	url, prefix := "http://"+a.Addr(), cfg.Broker.TopicPrefix
	straight, follow := !InProcess(cfg), tailOf(a)
	if straight {
		follow = func(ctx context.Context, out io.Writer, c TailConfig) error { return Tail(ctx, out, cfg, Options{}, c) }
	}

	// Some are seen as they come, from the time that the tail has begun.
	ready := make(chan struct{})
	seen := make(chan []string, 1)
	go func() {
		defer close(seen) // also when it fails
		seen <- follow.lines(t, TailConfig{JSON: true, Started: func(topic string, partitions int) {
			assert.Equal(t, prefix+"events", topic)
			assert.Equal(t, 4, partitions)
			close(ready)
		}}, 60)
	}()
	select {
	case <-ready:
	case <-seen:
		t.FailNow()
	}
	var want []string
	post := func(bodies ...[]byte) {
		t.Helper()
		resp, err := http.Post(url+"/v1/events", "application/json", bytes.NewReader(append(append([]byte("["), bytes.Join(bodies, []byte(","))...), ']')))
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		require.Equal(t, http.StatusAccepted, resp.StatusCode)
		var stored struct{ IDs []string }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&stored))
		want = append(want, stored.IDs...)
	}
	other := post // straight to the broker, where another process reaches it
	var store *Store
	if straight {
		var err error
		store, err = OpenStore(t.Context(), cfg, Options{})
		require.NoError(t, err)
		defer func() { assert.NoError(t, store.Close()) }()
		other = func(bodies ...[]byte) {
			t.Helper()
			ids, err := store.PutJSON(t.Context(), bodies...)
			require.NoError(t, err)
			want = append(want, ids...)
		}
	}
	numbered := func(way, typ string, from, to int) (out [][]byte) {
		for n := from; n < to; n++ {
			out = append(out, fmt.Appendf(nil, "{\"type\":\"%s\", \"id\":\"%s-%d\",\"userId\":\"u%d\" , \"n\":%d}", typ, way, n, n%3, n))
		}
		return out
	}
	post(numbered("http", "a.b", 0, 20)...)
	other(numbered("other", "a.c", 20, 40)...)
	post(numbered("http", "a.b", 40, 60)...)
	require.Len(t, want, 60)
	live := parsedLines(t, <-seen)
	require.Len(t, live, 60)
	byKey := map[string]int{}
	var got []string
	for _, l := range live {
		var e struct{ N int }
		require.NoError(t, json.Unmarshal(l.Data, &e))
		if last, ok := byKey[l.Key]; ok {
			require.Equal(t, last+3, e.N, "key %s is in order", l.Key)
		}
		byKey[l.Key] = e.N
		got = append(got, l.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	assert.Equal(t, want, got)
	assert.Equal(t, `{"type":"a.b","id":"`+live[0].ID+`","userId":"`+live[0].Key+`","n":`+fmt.Sprint(byKey[live[0].Key]-57)+`}`, string(live[0].Data))

	// The examples have the key that their schema names, and the refuser's go
	// to its poison queue.
	registry, err := schema.Load(cfg.Schemas.Dir)
	require.NoError(t, err)
	ordersPlaced, ok := registry.Lookup("order.placed")
	require.True(t, ok)
	var examples [][]byte
	for _, e := range ordersPlaced.Examples {
		if !bytes.Contains(e, []byte(`"type"`)) {
			e = append([]byte(`{"type":"order.placed",`), e[1:]...)
		}
		examples = append(examples, e)
	}
	other(examples...)
	post(examples...)
	other([]byte(`{"id":"poor","type":"bad.one","key":"k"}`))
	if straight {
		_, err = store.PutJSON(t.Context(), []byte("{}"), []byte(`{"type":"order.placed"}`))
		assert.ErrorContains(t, err, "[1]: order.placed v1: required: ")
		_, err = store.PutJSON(t.Context(), []byte(`{"time":1}`))
		assert.EqualError(t, err, "[0]: time: must be a string, not a number; put it in quotes")
		_, err = store.PutJSON(t.Context(), []byte(`[{},{}]`))
		assert.ErrorContains(t, err, "[0]: ")
	}

	before := committed(t, a)
	placed := follow.lines(t, TailConfig{From: "beginning", Type: "order.*", Width: 30}, 4)
	for _, l := range placed {
		assert.Regexp(t, `^2\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ `+prefix+`events/\d/\d+ id=\w+ type=order.placed key=ada \{"type":"order.placed",.{7}\.\.\. \(\d+ bytes\)$`, l)
	}
	assert.Len(t, follow.lines(t, TailConfig{From: "1h", Key: "u1", Type: "*"}, 20), 20)
	assert.Contains(t, follow.lines(t, TailConfig{From: "beginning", Type: "bad.one"}, 1)[0], `id=poor type=bad.one key=k {"id":"poor","type":"bad.one","key":"k"}`)

	delivered := parsedLines(t, follow.lines(t, TailConfig{From: "beginning", Destination: "log", Type: "a.b", Key: "u2", JSON: true}, 13))
	for i, l := range delivered {
		assert.Equal(t, prefix+"dest.log", l.Topic)
		require.NotNil(t, l.Sequence)
		assert.True(t, i == 0 || *l.Sequence > *delivered[i-1].Sequence)
	}
	payload := follow.lines(t, TailConfig{From: "beginning", Destination: "bad"}, 1)[0]
	assert.Contains(t, payload, ` id=poor type=bad.one key=k "\x00 not \xff JSON: poor"`)
	poor := parsedLines(t, follow.lines(t, TailConfig{From: "beginning", Destination: "bad", Poison: true, JSON: true}, 1))[0]
	assert.Equal(t, "\x00 not \xff JSON: poor", string(poor.Binary))
	assert.Equal(t, map[string]string{"X-A": "b"}, poor.Headers)
	assert.Equal(t, [4]any{"deliver", "permanent", 1, prefix + "poison.bad"}, [4]any{poor.Stage, poor.Reason, poor.Attempts, poor.Topic})
	assert.NotEmpty(t, poor.Last)
	assert.Contains(t, follow.lines(t, TailConfig{From: "beginning", Destination: "bad", Poison: true}, 1)[0],
		` key=k stage=deliver reason=permanent attempts=1 detail="`)
	assert.Equal(t, before, committed(t, a), "no group has moved, none has come")

	if straight { // the server says the same, byte for byte
		for _, c := range []TailConfig{{From: "beginning", Key: "k", Width: 30}, {From: "beginning", Key: "k", Destination: "bad", Poison: true, JSON: true}} {
			assert.Equal(t, follow.lines(t, c, 1), tailOf(a).lines(t, c, 1))
		}
	}
	bare := TailConfig{From: "beginning", Destination: "bad", Bare: true, JSON: true}
	assert.NotContains(t, follow.lines(t, bare, 1)[0], "data")
	assert.NotContains(t, follow.lines(t, bare, 1)[0], "headers")
	bare.JSON = false
	assert.Regexp(t, ` id=poor type=bad.one key=k$`, follow.lines(t, bare, 1)[0])

	err = follow(t.Context(), &bytes.Buffer{}, TailConfig{Destination: "nope"})
	list := prefix + strings.Join([]string{"control", "dest.bad", "dest.log", "events", "poison.bad", "poison.log"}, ", "+prefix)
	require.Error(t, err)
	assert.Regexp(t, "^(http://\\S+ answered 404: )?"+regexp.QuoteMeta("topic "+prefix+"dest.nope does not exist; the broker has "+list+"; eventserver makes a destination's topics when it starts with it")+"$", err.Error())
	ctx, cancel := context.WithCancel(t.Context())
	assert.NoError(t, follow(ctx, &bytes.Buffer{}, TailConfig{Started: func(string, int) { cancel() }}), "Ctrl-C is how it ends")
}

// Without a server there is no way to what it has in its process.
func TestTailWithoutTheServer(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		"broker: {kind: memory}":               "broker.kind: memory is in the memory of the server's process, and its admin API is the only way to it: see admin.addr",
		"broker: {dir: '" + t.TempDir() + "'}": "broker.dir: no server has stored anything in ",
	} {
		assert.ErrorContains(t, Tail(t.Context(), &bytes.Buffer{}, parsed(t, yaml+"\ndestinations: []"), Options{}, TailConfig{}), want)
	}
	cfg := parsed(t, "broker: {kind: kafka, brokers: ['127.0.0.1:1']}\ndestinations: []")
	assert.ErrorContains(t, Tail(t.Context(), &bytes.Buffer{}, cfg, Options{}, TailConfig{}), "kafka: connect to 127.0.0.1:1: ")
	cfg = parsed(t, "http: {addr: '127.0.0.1:0'}\nadmin: {addr: \"off\"}\nbroker: {dir: '"+t.TempDir()+"'}\ndestinations: []")
	started(t, cfg, Options{})
	assert.EqualError(t, Tail(t.Context(), &bytes.Buffer{}, cfg, Options{}, TailConfig{}), "broker.dir: a server runs on "+cfg.Broker.Dir+", and its admin API is the only way to it: see admin.addr")
}

func TestTailConfigFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tail TailConfig
		want string
	}{
		{TailConfig{Poison: true}, "--poison: say whose poison queue, with --destination ID"},
		{TailConfig{Type: "*.placed"}, `--type: "*.placed" is not a pattern; write a whole type, a prefix with .* behind it, or *`},
		{TailConfig{Type: "order*"}, `--type: "order*" is not a pattern; write a whole type, a prefix with .* behind it, or *`},
		{TailConfig{Count: -1}, "--count, --width: write 0 for all, or more"},
		{TailConfig{From: "yesterday"}, `--from: "yesterday" is not beginning, end or a time span such as 10m or 24h`},
		{TailConfig{From: "-5m"}, `--from: "-5m" is not beginning, end or a time span such as 10m or 24h`},
	} {
		assert.EqualError(t, Tail(t.Context(), &bytes.Buffer{}, config.Default(), Options{}, c.tail), c.want)
	}
}

// The server that goes away ends the tail, with the reason.
func TestTailEndsWithTheServer(t *testing.T) {
	t.Parallel()
	cfg := parsed(t, "http: {addr: '127.0.0.1:0'}\nbroker: {dir: '"+t.TempDir()+"'}\ndestinations: []")
	ctx, stop := context.WithCancel(t.Context())
	a, err := New(ctx, cfg, Options{})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	<-a.Ready()
	err = tailOf(a)(t.Context(), &bytes.Buffer{}, TailConfig{Started: func(string, int) { stop() }})
	assert.EqualError(t, err, "the server at http://"+a.AdminAddr()+" has stopped")
	assert.NoError(t, <-ended)
}

// Records of other programs are shown too, and nothing in them moves a cursor.
func TestTailLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.UTC)
	line := func(c TailConfig, body string, md ...string) (text, jsonLine string) {
		m := message.NewMessage("u", []byte(body))
		m.Metadata = message.Metadata{infra.MetaTopic: "events", infra.MetaPartition: "3", infra.MetaOffset: "42", infra.MetaKey: "ada"}
		for i := 0; i < len(md); i += 2 {
			m.Metadata[md[i]] = md[i+1]
		}
		return c.read(m, at).text(c.Width, c.Bare), c.read(m, at).json()
	}
	const head = `2026-01-31T12:00:00.005Z events/3/42 id=e1 type=order.placed key=ada `
	const jsonHead = `{"received_at":"2026-01-31T12:00:00.005Z","topic":"events","partition":3,"offset":42,"id":"e1","type":"order.placed","key":"ada"`
	for body, want := range map[string][2]string{
		"{ \"a\" : 1.0,\n\"b\":\"<é>\" }":                        {`{"a":1.0,"b":"<é>"}`, `,"data":{"a":1.0,"b":"<é>"}`},
		`{"a":"` + "\u009b31m\u202e\u2028😀\U000e0001\x7f" + `"}`: {`{"a":"\u009b31m\u202e\u2028😀\udb40\udc01\u007f"}`, `,"data":{"a":"\u009b31m\u202e\u2028😀\udb40\udc01\u007f"}`},
		"{\"a\":1} {\"a\":2}":                                    {`"{\"a\":1} {\"a\":2}"`, `,"data_base64":"eyJhIjoxfSB7ImEiOjJ9"`},
		"\x1b]0;x\a":                                             {`"\x1b]0;x\a"`, `,"data_base64":"G10wO3gH"`},
		"\"\xff\"":                                               {`"\"\xff\""`, `,"data_base64":"Iv8i"`},
		"":                                                       {`""`, ``},
		"null":                                                   {`null`, `,"data":null`},
	} {
		text, js := line(TailConfig{}, body, "ce_id", "e1", "ce_type", "order.placed")
		assert.Equal(t, head+want[0], text)
		assert.Equal(t, jsonHead+want[1]+"}", js)
		assert.True(t, json.Valid([]byte(js)), js)
	}
	text, _ := line(TailConfig{Width: 5}, `"ééééé"`, "ce_id", "a b", "ce_type", "")
	assert.Equal(t, `2026-01-31T12:00:00.005Z events/3/42 id="a b" type="" key=ada "éééé... (12 bytes)`, text)
	text, js := line(TailConfig{}, "{}")
	assert.Equal(t, `2026-01-31T12:00:00.005Z events/3/42 id="" type="" key=ada error="record has no ce_id header: it was not written by event-server" {}`, text)
	assert.Contains(t, js, `"error":"record has no ce_id header: it was not written by event-server","data":{}}`)
}
