package webhook

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

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

func TestBatchOfOneIsAnOrdinaryRequest(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) != "{}" || r.Header.Get("Event-Id") != "e1" || r.Header.Get("Batch-Size") != "" {
			t.Errorf("body %s, headers %v", body, r.Header)
		}
	}))
	defer srv.Close()
	d, err := New("crm", Config{URL: srv.URL, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.DeliverBatch(t.Context(), []destinations.Delivery{{ID: "e1:crm", EventID: "e1", Key: "ada", Payload: destinations.Payload{Body: []byte("{}")}}}); err != nil {
		t.Error(err)
	}
}
