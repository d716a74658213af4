package expr

import "testing"

func benchFilter(b *testing.B, src string) {
	f, err := CompileFilter(src, 0)
	if err != nil {
		b.Fatal(err)
	}
	e := event()
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := f.Match(b.Context(), e); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkFilterByType(b *testing.B) { benchFilter(b, `event.type == 'order.placed'`) }
func BenchmarkFilterByData(b *testing.B) { benchFilter(b, `event.data.total > 100.0`) }

func BenchmarkTransform(b *testing.B) {
	t, err := CompileTransform(`{'id': event.id, 'at': event.time, 'total': event.data.total, 'skus': event.data.items.map(i, i.sku)}`, 0)
	if err != nil {
		b.Fatal(err)
	}
	e := event()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.Apply(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := CompileFilter(`event.type == 'order.placed' && event.data.total > 100`, 0); err != nil {
			b.Fatal(err)
		}
	}
}
