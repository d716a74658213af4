package webhook

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"eventserver/destinations"
)

func BenchmarkDeliver(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer receiver.Close()
	d, err := New("shop", Config{URL: receiver.URL, AllowPrivate: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	now := time.Now()
	del := destinations.Delivery{
		ID: "01KB2J6Z7Q8V9W0X1Y2Z3A4B5C:shop", EventID: "01KB2J6Z7Q8V9W0X1Y2Z3A4B5C", EventType: "order.placed", Key: "user-123",
		Attempt: 1, Time: now, ReceivedAt: now, Sequence: 123456,
		Payload: destinations.Payload{ContentType: "application/json", Body: make([]byte, 200)},
	}
	b.Run("headers", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.header(del); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) { // with the receiver's part
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Deliver(b.Context(), del); err != nil {
				b.Fatal(err)
			}
		}
	})
}
