package expr

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"eventserver/destinations"
)

// No expression and no body panics, a result is valid JSON, and the same event
// gives the same bytes.
func FuzzExpr(f *testing.F) {
	for _, src := range []string{
		`event.type == 'a'`, `event.data.x > 1`, `event.data`, `event`, `{'a': event.body, ?'b': event.data.?x}`,
		`event.data.map(i, i + 1)`, `[1, 2u, 3.5, b'x', duration('1s'), event.time, null, true]`,
		`event.data.items.filter(i, i.n > 0).map(i, string(i.n)).join(',')`, `"%s".format([event.data])`,
		`event.data.transformMap(k, v, v)`, `sets.contains(event.data, [1])`, `event.data.matches('a+')`, `dyn(event).x`,
	} {
		for _, data := range []string{`{"data":{"x":1}}`, `[1,2.5,"x"]`, `{"items":[{"n":1}]}`, `x`, ``, "{\"a\":\"\xff\"}"} {
			f.Add(src, data)
		}
	}
	f.Fuzz(func(t *testing.T, src, data string) {
		e := destinations.Event{ID: "i", Type: "a", Key: "k", Data: []byte(data)}
		if fl, err := CompileFilter(src, 0); err == nil {
			_, _ = fl.Match(t.Context(), e)
		} else if err.Error() == "" {
			t.Error("an empty fault")
		}
		tr, err := CompileTransform(src, 0)
		if err != nil {
			return
		}
		out, err := tr.Apply(t.Context(), e)
		if err == nil && (!json.Valid(out) || !utf8.Valid(out) || len(out) > limitsFor(0).result) {
			t.Errorf("%s of %q = %q", src, data, out)
		}
		if again, err2 := tr.Apply(t.Context(), e); string(again) != string(out) || (err == nil) != (err2 == nil) {
			t.Errorf("%q then %q, %v then %v", out, again, err, err2)
		}
		if string(e.Data) != data {
			t.Error("the event was changed")
		}
	})
}
