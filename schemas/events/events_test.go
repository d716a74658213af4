package events_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"eventserver/app/schema"
	"eventserver/schemas/events"
)

// What a schema gives as an example, or its test events as valid, is still valid
// after its Go type had it.
func TestRoundTrip(t *testing.T) {
	reg, err := schema.Load("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range reg.Schemas() {
		all := s.Examples
		files, err := filepath.Glob(filepath.Join("..", "testdata", s.Type, "valid-*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data)
		}
		for _, data := range all {
			first := again(t, s, data)
			if second := again(t, s, first); string(second) != string(first) {
				t.Errorf("%s became %s", first, second)
			}
		}
	}
}

func again(t *testing.T, s *schema.Schema, data []byte) []byte {
	t.Helper()
	e, ok := events.New(s.Type)
	if !ok {
		t.Fatalf("%s has no Go type; run make generate", s.Type)
	}
	if e.EventType() != s.Type || e.EventVersion() != s.Version {
		t.Fatalf("%s version %d is Go's %s version %d; run make generate", s.Type, s.Version, e.EventType(), e.EventVersion())
	}
	if err := json.Unmarshal(data, e); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	out, err := json.Marshal(reflect.ValueOf(e).Elem().Interface()) // as a program does: the value
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(out); err != nil {
		t.Errorf("%s became %s: %v", data, out, err)
	}
	return out
}

// The types can be used as they are written here: this is compiled.
func TestWrittenInGo(t *testing.T) {
	note := "ring twice"
	var e events.Event = events.OrderPlaced{
		OrderID:    "0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11",
		CustomerID: "ada",
		Status:     events.OrderPlacedStatusPaid,
		Lines:      []events.OrderPlacedLine{{Sku: "BOOK-1", Quantity: 1, Price: events.Money{Amount: 1250, Currency: "EUR"}}},
		Total:      events.Money{Amount: 1250, Currency: "EUR"},
		PlacedAt:   events.DateTimeOf(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)),
		Note:       events.Nullable[string]{Value: &note},
	}
	got, err := json.Marshal(e)
	want := `{"orderId":"0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11","customerId":"ada","placedAt":"2026-01-31T12:00:00Z","status":"paid",` +
		`"lines":[{"sku":"BOOK-1","quantity":1,"price":{"amount":1250,"currency":"EUR"}}],"total":{"amount":1250,"currency":"EUR"},"note":"ring twice"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}
