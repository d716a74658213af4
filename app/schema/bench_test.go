package schema

import "testing"

// orderEvent is 241 bytes, as applications post it.
const orderEvent = `{"orderId":"0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11","customerId":"ada","placedAt":"2026-01-31T12:00:00Z","status":"paid",` +
	`"lines":[{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}}],"total":{"amount":2500,"currency":"EUR"}}`

// BenchmarkValidate is the cost of one event with decoding. The promise is less
// than 10 µs for 200 bytes.
func BenchmarkValidate(b *testing.B) {
	reg, err := Load("../../schemas")
	if err != nil {
		b.Fatal(err)
	}
	order, _ := reg.Lookup("order.placed")
	for name, data := range map[string]string{
		"good": orderEvent,
		"bad":  `{"orderId":"x"` + orderEvent[len(`{"orderId":"0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11"`):],
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := order.Validate([]byte(data)); (err == nil) != (name == "good") {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok, err := order.Key([]byte(orderEvent)); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := order.Validate([]byte(orderEvent)); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
