package poison

import (
	"testing"

	"pgregory.net/rapid"
)

// The set is a set, however much of it was dropped.
func TestOffsetsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o offsets
		model, low := map[int64]bool{}, int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				at := low + rapid.Int64Range(0, 20_000).Draw(t, "above low")
				if added := o.add(at); added == model[at] {
					t.Fatalf("add %d: %v, and it was there: %v", at, added, model[at])
				}
				model[at] = true
			},
			"run": func(t *rapid.T) {
				from := low + rapid.Int64Range(0, 100).Draw(t, "above low")
				for at := from; at < from+rapid.Int64Range(0, 9000).Draw(t, "length"); at++ {
					o.add(at)
					model[at] = true
				}
			},
			"drop": func(t *rapid.T) {
				low += rapid.Int64Range(0, 30_000).Draw(t, "by")
				o.drop(low)
			},
			"": func(t *rapid.T) {
				for at := low - 1; at < low+25_000; at += 7 {
					if at >= low && o.has(at) != model[at] {
						t.Fatalf("%d is in it: %v, want %v", at, o.has(at), model[at])
					}
				}
				if spare := low - o.base; spare > max(2*dropLeast, int64(o.bits.Len())) {
					t.Fatalf("%d bits are kept that nobody asks for, of %d", spare, o.bits.Len())
				}
			},
		})
	})
}
