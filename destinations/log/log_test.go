package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"go.uber.org/goleak"

	"eventserver/destinations"
	"eventserver/destinations/destinationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func open(t *testing.T, cfg Config, w io.Writer) *Destination {
	t.Helper()
	d, err := New("log", cfg, w)
	if err != nil {
		t.Fatal(err)
	}
	d.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC) }
	return d
}

func TestConformance(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		destinationtest.Run(t, destinationtest.Harness{
			New:         func(t *testing.T) destinations.Destination { return open(t, Config{Format: format}, io.Discard) },
			PassThrough: true,
			Stuck: func(t *testing.T, entered chan<- struct{}) destinations.Destination {
				end := make(chan struct{})
				t.Cleanup(func() { close(end) })
				return open(t, Config{}, writerFunc(func(p []byte) (int, error) {
					entered <- struct{}{}
					<-end
					return len(p), nil
				}))
			},
			Broken: map[string]func(*testing.T) destinations.Destination{
				"closed file": func(t *testing.T) destinations.Destination {
					f, err := os.CreateTemp(t.TempDir(), "")
					if err != nil {
						t.Fatal(err)
					}
					_ = f.Close()
					return open(t, Config{}, f)
				},
			},
		})
	}
}

func delivery(id string, body string) destinations.Delivery {
	return destinations.Delivery{
		ID: id + ":log", EventID: id, EventType: "order.placed", Key: "user-1", Destination: "log", Attempt: 2,
		Time: time.Unix(1, 0), Payload: destinations.Payload{Body: []byte(body)},
	}
}

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		del  destinations.Delivery
		want string
	}{
		"text": {Config{}, delivery("e1", "{\n \"n\": 9007199254740993, \"s\":\"<&\"}"),
			`2026-01-02T03:04:05.006Z event=e1 type=order.placed key=user-1 delivery=e1:log attempt=2 {"n":9007199254740993,"s":"<&"}`},
		"text, not JSON": {Config{}, delivery("e 1", "one\ntwo"),
			`2026-01-02T03:04:05.006Z event="e 1" type=order.placed key=user-1 delivery="e 1:log" attempt=2 "one\ntwo"`},
		"text, cut": {Config{MaxBytes: 8}, delivery("e1", `{"a":"éé"}`),
			`2026-01-02T03:04:05.006Z event=e1 type=order.placed key=user-1 delivery=e1:log attempt=2 {"a":"é... (12 bytes)`},
		"text, no data": {Config{}, delivery("e1", ""), `2026-01-02T03:04:05.006Z event=e1 type=order.placed key=user-1 delivery=e1:log attempt=2 null`},
		"json, no data": {Config{Format: "json"}, delivery("e1", ""),
			`{"at":"2026-01-02T03:04:05.006Z","event_id":"e1","type":"order.placed","key":"user-1","id":"e1:log","attempt":2,"time":"1970-01-01T00:00:01Z","data":null}`},
		"json": {Config{Format: "json"}, delivery("e1", ` {"a": "<"} `),
			`{"at":"2026-01-02T03:04:05.006Z","event_id":"e1","type":"order.placed","key":"user-1","id":"e1:log","attempt":2,"time":"1970-01-01T00:00:01Z","data":{"a":"<"}}`},
		"json, cut": {Config{Format: "json", MaxBytes: 3}, delivery("e1", `{"a":1}`),
			`{"at":"2026-01-02T03:04:05.006Z","event_id":"e1","type":"order.placed","key":"user-1","id":"e1:log","attempt":2,"time":"1970-01-01T00:00:01Z","data_begin":"{\"a","data_bytes":7}`},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := open(t, c.cfg, &b).Deliver(t.Context(), c.del); err != nil {
				t.Fatal(err)
			}
			if b.String() != c.want+"\n" {
				t.Errorf("got  %swant %s", b.String(), c.want)
			}
		})
	}
}

// What an event holds cannot end a line, hide a part of it or move the cursor.
func FuzzNoForgedLine(f *testing.F) {
	for _, e := range destinationtest.Events() {
		f.Add(e.ID, e.Key, e.Data[:min(len(e.Data), 100)])
	}
	f.Add("x\ny", "\u2028\u0085\x1b[2K\r", []byte("{\"a\":\"\u2028\u0085\u202e\x7f\\u000a\U000e0001\xff\"}"))
	f.Fuzz(func(t *testing.T, id, key string, body []byte) {
		for _, cfg := range []Config{{}, {Format: "json"}, {MaxBytes: 7}, {Format: "json", MaxBytes: 7}} {
			var b bytes.Buffer
			del := delivery(id, string(body))
			del.Key = key
			if err := open(t, cfg, &b).Deliver(t.Context(), del); err != nil {
				t.Fatal(err)
			}
			line, ok := strings.CutSuffix(b.String(), "\n")
			if !ok || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("line %q", b.String())
			}
			if cfg.Format == "json" && !json.Valid([]byte(line)) {
				t.Errorf("not JSON: %q", line)
			}
			if cfg.Format == "json" && cfg.MaxBytes == 0 && len(body) < 500 && json.Valid(body) {
				var got struct{ Data any }
				var want any
				if json.Unmarshal([]byte(line), &got) == nil && json.Unmarshal(body, &want) == nil {
					a, _ := json.Marshal(got.Data)
					b, _ := json.Marshal(want)
					if !bytes.Equal(a, b) {
						t.Errorf("data became %s, was %s", a, b)
					}
				}
			}
		}
	})
}

func TestShortWrites(t *testing.T) {
	var b bytes.Buffer
	d := open(t, Config{}, writerFunc(func(p []byte) (int, error) { return b.Write(p[:min(len(p), 7)]) }))
	if err := d.Deliver(t.Context(), delivery("e1", `{"a":1}`)); err != nil || !strings.HasSuffix(b.String(), "{\"a\":1}\n") {
		t.Errorf("%q, %v", b.String(), err)
	}
	d = open(t, Config{}, writerFunc(func([]byte) (int, error) { return 0, nil }))
	err := d.Deliver(t.Context(), delivery("e1", `{"a":1}`))
	if got := destinationtest.Verdict(err); got != "unavailable" || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%s: %v", got, err)
	}
}

func TestLineAfterATornOneIsWhole(t *testing.T) {
	var b bytes.Buffer
	full := true
	d := open(t, Config{}, writerFunc(func(p []byte) (int, error) {
		if full {
			n, _ := b.Write(p[:10])
			return n, errors.New("disk full")
		}
		return b.Write(p)
	}))
	if got := destinationtest.Verdict(d.Deliver(t.Context(), delivery("e1", "1"))); got != "unavailable" {
		t.Error(got)
	}
	full = false
	for range 2 {
		if err := d.Deliver(t.Context(), delivery("e1", "1")); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 4 || lines[0] != "2026-01-02" || lines[1] != lines[2] || lines[3] != "" {
		t.Errorf("%q", lines)
	}
}

func TestConfigFaults(t *testing.T) {
	err := Config{Format: "xml", MaxBytes: -1}.Validate()
	if err == nil || err.Error() != "format: \"xml\" is not text or json\nmax_bytes: -1 is negative" {
		t.Error(err)
	}
	if _, err := New("log", Config{}, nil); err != nil {
		t.Error(err)
	}
}
