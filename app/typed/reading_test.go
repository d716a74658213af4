package typed_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eventserver/app"
	"eventserver/app/typed"
)

// reading is written by hand, for encoding/json.
type reading struct {
	E      string    `json:"e"`
	Amount int       `json:"amount"`
	At     time.Time `json:"at"`
	Any    any       `json:"any"`
	Inner  struct {
		ID string `json:"id"`
	} `json:"inner"`
	embedded
}

type embedded struct {
	Note *string `json:"note"`
}

func (reading) EventType() string { return "reading" }

const readingSchema = `x-event: {type: reading, version: 1}
description: d
type: object
required: [amount]
properties:
  e: {type: string}
  amount: {type: integer}
  at: {type: string, format: date-time}
  any: true
  inner: {type: object, properties: {id: {type: string}}}
  note: {type: [string, "null"]}
examples: [{amount: 1}]
`

// What the schema judges is what the handler gets: it sees no other member and no
// other value, and no event that was accepted is poisoned.
func TestTheHandlerGetsWhatWasJudged(t *testing.T) {
	t.Parallel()
	got := make(chan reading, 10)
	codecs, err := typed.NewCodecs(typed.JSON[reading]())
	if err != nil {
		t.Fatal(err)
	}
	h := typed.Handlers{Codecs: codecs, Handlers: []typed.Handler{typed.Handle(func(_ context.Context, r reading) error { got <- r; return nil })}}
	file := config(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\ndestinations: [{id: own, kind: handler}]\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "schemas", "reading.yaml"), []byte(readingSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	a := running(t, file, app.Options{Kinds: []app.Kind{typed.Kind(h)}})
	post := func(event string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.Addr()+"/v1/events", strings.NewReader(`{"type":"reading","userId":"u",`+event+`}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		return resp.StatusCode
	}
	note := "n"
	for _, tt := range []struct {
		event string
		want  reading
	}{
		{`"e":"trade","amount":5,"AMOUNT":999`, reading{E: "trade", Amount: 5}},
		{`"e":"trade","amount":6,"E":1767225600123`, reading{E: "trade", Amount: 6}},
		{`"amount":1.0,"inner":{"ID":5},"Inner":{"id":"x"},"NOTE":[1]`, reading{Amount: 1}},
		{`"amount":12e1,"at":"2016-12-31t23:59:60z"`, reading{Amount: 120, At: time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{`"amount":7,"any":9007199254740993,"note":"n"`, reading{Amount: 7, Any: json.Number("9007199254740993"), embedded: embedded{Note: &note}}},
	} {
		if status := post(tt.event); status != http.StatusAccepted {
			t.Errorf("%s: %d", tt.event, status)
			continue
		}
		select {
		case r := <-got:
			if !r.At.Equal(tt.want.At) {
				t.Errorf("%s: at %v", tt.event, r.At)
			}
			r.At, tt.want.At = time.Time{}, time.Time{}
			a, b := text(t, r), text(t, tt.want)
			if a != b {
				t.Errorf("%s: got %s, want %s", tt.event, a, b)
			}
		case <-time.After(timeout):
			t.Fatalf("%s did not come", tt.event)
		}
	}
	for _, event := range []string{`"amount":1,"amount":2`, `"amount":1,"inner":{"id":"a","id":"b"}`, "\"amount\":1,\"e\":\"\xff\"", `"amount":1,"e":"\ud800"`, `"amount":1.5`} {
		if status := post(event); status < 400 || status > 499 {
			t.Errorf("%q: %d", event, status)
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
