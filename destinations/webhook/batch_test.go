package webhook

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pgregory.net/rapid"

	"eventserver/destinations"
)

func TestBatchOnTheWire(t *testing.T) {
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	var bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		if err != nil {
			t.Errorf("signature: %v", err)
		}
		if n := r.Header.Get("Batch-Size"); n != "3" {
			t.Errorf("Batch-Size %q", n)
		}
		ids, bodies = append(ids, r.Header.Get("Webhook-Id")), append(bodies, string(body))
		if len(ids) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	d, err := New("crm", Config{URL: srv.URL, AllowPrivate: true, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	const exact = `{"n":9007199254740993,  "odd":1.0e2, "s":"<&>\u00e9"}`
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	batch := []destinations.Delivery{
		{ID: "e1:crm", EventID: "e1", EventType: "order.placed", Key: "ada", Attempt: 2, Sequence: 7, Time: at, ReceivedAt: at,
			Payload: destinations.Payload{ContentType: "application/json; charset=utf-8", Body: []byte(exact)}},
		{ID: "e2:crm", EventID: "e2", Key: "bob", Attempt: 1, Sequence: -1, Payload: destinations.Payload{ContentType: "text/plain", Body: []byte("plain")}},
		{ID: "e3:crm", EventID: "e3", Key: "eve", Attempt: 1, Payload: destinations.Payload{ContentType: "application/json", Body: []byte(`{not json`)}},
	}
	if err := d.DeliverBatch(t.Context(), batch); err == nil {
		t.Error("503 is a success")
	}
	if err := d.DeliverBatch(t.Context(), batch); err != nil {
		t.Error(err)
	}
	if ids[0] != ids[1] || !strings.HasPrefix(ids[0], "batch_") {
		t.Errorf("webhook-id %v: wants the same at each attempt", ids)
	}
	if !strings.Contains(bodies[0], `"data":`+exact+"}") {
		t.Errorf("the payload's bytes were changed: %s", bodies[0])
	}
	var items []item
	if err := json.Unmarshal([]byte(bodies[0]), &items); err != nil {
		t.Fatal(err)
	}
	if len(items) != 3 || items[0].EventID != "e1" || items[0].Key != "ada" || items[0].DeliveryID != "e1:crm" || items[0].Attempt != 2 ||
		*items[0].Sequence != 7 || !items[0].Time.Equal(at) || items[1].Sequence != nil ||
		string(items[1].DataBase64) != "plain" || string(items[2].DataBase64) != "{not json" {
		t.Errorf("items %+v", items)
	}
}

// A batch of one had the body and the headers of a request without batches, so
// that a receiver had to know two shapes.
func TestBatchOfAnySizeHasOneShape(t *testing.T) {
	var header http.Header
	var body []byte
	d := open(t, Config{URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	})})
	shape := func(n int) (names []string, items []map[string]json.RawMessage) {
		var ds []destinations.Delivery
		for i := range n {
			ds = append(ds, delivery(fmt.Sprint("e", i)))
		}
		if err := d.DeliverBatch(t.Context(), ds); err != nil {
			t.Fatal(err)
		}
		if got := header.Get(headerBatchSize); got != strconv.Itoa(n) {
			t.Errorf("Batch-Size %q, want %d", got, n)
		}
		if err := json.Unmarshal(body, &items); err != nil || len(items) != n {
			t.Fatalf("%d items (%v): %s", len(items), err, body)
		}
		return slices.Sorted(maps.Keys(header)), items
	}
	names, items := shape(1)
	for _, n := range []int{2, 3, 40} {
		again, others := shape(n)
		if !slices.Equal(again, names) {
			t.Errorf("a batch of %d has the headers %v, one of one %v", n, again, names)
		}
		for _, item := range others {
			if got, want := slices.Sorted(maps.Keys(item)), slices.Sorted(maps.Keys(items[0])); !slices.Equal(got, want) {
				t.Errorf("an item of %d has %v, one alone %v", n, got, want)
			}
		}
	}
}

// What is in the headers of a request without batches is in the items.
func TestBatchItemHasTheHeaders(t *testing.T) {
	var items []item
	d := open(t, Config{URL: serve(t, func(_ http.ResponseWriter, r *http.Request) { _ = json.NewDecoder(r.Body).Decode(&items) })})
	del := delivery("e")
	del.Metadata = map[string]string{"tracestate": "foo=1, bar=2"}
	del.Payload.Headers = map[string]string{"Event-Schema-Warning": "/total: is missing"}
	for _, ds := range [][]destinations.Delivery{{del}, {delivery("first"), del}} {
		if err := d.DeliverBatch(t.Context(), ds); err != nil {
			t.Fatal(err)
		}
		if last := items[len(ds)-1]; last.Metadata["tracestate"] != "foo=1, bar=2" || last.Headers["Event-Schema-Warning"] != "/total: is missing" {
			t.Errorf("%+v", last)
		}
	}
}

// The forms of a payload without data, in a batch and without.
func TestNullPayload(t *testing.T) {
	var body []byte
	var header http.Header
	d := open(t, Config{URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	})})
	for _, c := range []struct {
		payload    destinations.Payload
		alone      string // the body of a request without batches
		inAnItem   string
		contentTyp string
	}{
		{destinations.Payload{}, "", `"data":null}`, ""},
		{destinations.Payload{Body: []byte{}, ContentType: "text/plain"}, "", `"data":null}`, "text/plain"},
		{destinations.Payload{Body: []byte("null"), ContentType: "application/json"}, "null", `"data":null}`, "application/json"},
		{destinations.Payload{Body: []byte(" null\n"), ContentType: "application/cloudevents+json"}, " null\n", `"data":null}`, "application/cloudevents+json"},
		{destinations.Payload{Body: []byte("null"), ContentType: "text/plain"}, "null", `"data_base64":"bnVsbA=="}`, "text/plain"},
		{destinations.Payload{Body: []byte(`{"data":null}`), ContentType: "application/json"}, `{"data":null}`, `"data":{"data":null}}`, "application/json"},
	} {
		del := delivery("e")
		del.Payload = c.payload
		if err := d.Deliver(t.Context(), del); err != nil || string(body) != c.alone || header.Get("Content-Type") != c.contentTyp {
			t.Errorf("%q: %q of type %q, %v", c.payload.Body, body, header.Get("Content-Type"), err)
		}
		if err := d.DeliverBatch(t.Context(), []destinations.Delivery{del}); err != nil || !strings.HasSuffix(string(body), c.inAnItem+"]") {
			t.Errorf("%q in a batch: %s, %v", c.payload.Body, body, err)
		}
	}
}

// item is what encoding/json makes of a delivery in a batch, but for the payload.
type item struct {
	EventID    string    `json:"event_id"`
	EventType  string    `json:"event_type,omitempty"`
	Key        string    `json:"key"`
	DeliveryID string    `json:"delivery_id"`
	Attempt    int       `json:"attempt"`
	Redrives   int       `json:"redrives,omitempty"`
	Sequence   *int64    `json:"sequence,omitempty"`
	Time       time.Time `json:"time,omitzero"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
	// Metadata and Headers, the payload's, are headers of a request without batches.
	Metadata    map[string]string `json:"metadata,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Data        json.RawMessage   `json:"data,omitempty"`
	DataBase64  []byte            `json:"data_base64,omitempty"`
}

func TestItemIsWhatEncodingJSONMakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "01KB2J6Z7Q8V9W0X1Y2Z3A4B5C", `"\\`, "<a>&\u2028\x7f", "\xff"}))
		texts := rapid.MapOfN(text, text, 0, 3)
		at := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.Bool().Draw(t, "none") {
				return time.Time{}
			}
			zone := time.FixedZone("", rapid.IntRange(-5, 5).Draw(t, "hours")*3600)
			return time.Unix(rapid.Int64Range(-1e9, 1e12).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
		})
		del := destinations.Delivery{
			ID: text.Draw(t, "id"), EventID: text.Draw(t, "event"), EventType: text.Draw(t, "type"), Key: text.Draw(t, "key"),
			Attempt: rapid.IntRange(0, 99).Draw(t, "attempt"), Redrives: rapid.IntRange(0, 2).Draw(t, "redrives"), Sequence: rapid.Int64Range(-1, 9).Draw(t, "sequence"),
			Time: at.Draw(t, "time"), ReceivedAt: at.Draw(t, "received"), Metadata: texts.Draw(t, "metadata"),
			Payload: destinations.Payload{
				ContentType: rapid.SampledFrom([]string{"application/json", "text/plain", "a\nb"}).Draw(t, "content type"), Headers: texts.Draw(t, "headers"),
				Body: []byte(rapid.SampledFrom([]string{`{"a": [1]}`, "{", "plain"}).Draw(t, "body")),
			},
		}
		it := item{
			EventID: del.EventID, EventType: del.EventType, Key: del.Key, DeliveryID: del.ID, Attempt: del.Attempt, Redrives: del.Redrives,
			Time: del.Time.UTC(), ReceivedAt: del.ReceivedAt.UTC(), Metadata: del.Metadata, Headers: del.Payload.Headers, ContentType: del.Payload.ContentType,
		}
		if del.Sequence >= 0 {
			it.Sequence = &del.Sequence
		}
		asJSON := del.Payload.ContentType == "application/json" && json.Valid(del.Payload.Body)
		if !asJSON {
			it.DataBase64 = del.Payload.Body
		}
		want, wantErr := json.Marshal(it)
		if asJSON && wantErr == nil {
			want = append(append(want[:len(want)-1], `,"data":`...), append(del.Payload.Body, '}')...)
		}
		got, err := appendItem([]byte("["), del)
		if (err == nil) != (wantErr == nil) || err == nil && string(got) != "["+string(want) {
			t.Fatalf("%v\n%s\nwant %v\n%s", err, got, wantErr, want)
		}
	})
}
