package expr

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"eventserver/destinations"
)

// numbers are texts of JSON numbers that a double, or writing one, would change.
var numbers = []string{
	"0", "-0", "0.0", "-0.0", "1.0", "1.10", "1e2", "1E2", "1e+2", "100", "0.1", "0.10", "5e-324", "1e-400", "1e400", "-1E400",
	"9007199254740993", "9007199254740993.0", "9223372036854775807", "9223372036854775808", "18446744073709551615",
	"18446744073709551616", "-9223372036854775809", "123456789012345678901234567890", "123456789012345678901234567891",
	"0.1234567890123456789", "12345678901234567.89", "1000000.5", "1e21", "1e-7",
}

// A number that an expression only moves keeps its text, wherever it goes.
func TestMovedNumbersKeepTheirText(t *testing.T) {
	moves := []struct{ src, want string }{
		{`event.data.v`, `%[1]s`},
		{`{'v': event.data.v}`, `{"v":%[1]s}`},
		{`[event.data.v, {'deep': [event.data.v]}]`, `[%[1]s,{"deep":[%[1]s]}]`},
		{`event.data`, `{"v":%[1]s,"l":[%[1]s,{"x":%[1]s}]}`},
		{`event.body.data.l`, `[%[1]s,{"x":%[1]s}]`},
		{`event.data.l[0]`, `%[1]s`},
		{`event.data['v']`, `%[1]s`},
		{`event.type == 'order.placed' ? event.data.v : null`, `%[1]s`},
		{`event.data.l.map(x, x)`, `[%[1]s,{"x":%[1]s}]`},
		{`event.data.l.filter(x, true)`, `[%[1]s,{"x":%[1]s}]`},
		{`event.data.l + [event.data.v]`, `[%[1]s,{"x":%[1]s},%[1]s]`},
		{`event.data.transformMap(k, x, k == 'v', x)`, `{"v":%[1]s}`},
		{`event.data.l.transformList(i, x, i == 0, x)`, `[%[1]s]`},
		{`event.data.?v.orValue(1)`, `%[1]s`},
		{`event.data.?absent.orValue(event.data.v)`, `%[1]s`},
		{`{?'v': event.data.?v}`, `{"v":%[1]s}`},
		{`optional.of(event.data.v).value()`, `%[1]s`},
		{`cel.bind(x, event.data.v, [x])`, `[%[1]s]`},
		{`dyn(event.data.v)`, `%[1]s`},
		{`[event.data.v].flatten()`, `[%[1]s]`},
		{`[event.data.v, event.data.v].distinct()`, `[%[1]s]`},
		{`[event.data.v].sort()`, `[%[1]s]`},
		{`[event.data.v].reverse()`, `[%[1]s]`},
		{`[event.data.v].slice(0, 1)`, `[%[1]s]`},
		{`[event.data.v].first().value()`, `%[1]s`},
		{`math.greatest(event.data.v, event.data.v)`, `%[1]s`},
		{`string(event.data.v)`, `"%[1]s"`},
		{`'%%s'.format([event.data.v])`, `"%[1]s"`},
		{`json.encode(event.data.v)`, `"%[1]s"`},
		{`json.parse(string(event.data.v)).value()`, `%[1]s`},
	}
	for _, m := range moves {
		tr, err := CompileTransform(strings.ReplaceAll(m.src, "%%", "%"), 0)
		if err != nil {
			t.Fatal(m.src, err)
		}
		for _, n := range numbers {
			e := event()
			e.Data = fmt.Appendf(nil, `{"data": {"v": %[1]s, "l": [%[1]s, {"x":%[1]s}]}}`, n)
			out, err := tr.Apply(t.Context(), e)
			if want := fmt.Sprintf(m.want, n); err != nil || string(out) != want {
				t.Errorf("%s of %s = %s, %v; want %s", m.src, n, out, err, want)
			}
		}
	}
}

// rat is the exact value of a number whose exponent is small.
func rat(t interface{ Fatal(args ...any) }, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatal(s)
	}
	return r
}

// Filters compare numbers of the event by their exact value.
func TestNumbersAreComparedExactly(t *testing.T) {
	f := map[string]*Filter{}
	for _, src := range []string{"event.data.a == event.data.b", "event.data.a < event.data.b", "event.data.a >= event.data.b", "event.data.a in [event.data.b]",
		"[{'x': event.data.a}] == [{'x': event.data.b}]", "[event.data.a, event.data.b].distinct().size() == 1"} {
		var err error
		if f[src], err = CompileFilter(src, 0); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.SampledFrom(numbers), rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?`))
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		if rapid.Bool().Draw(t, "same value") {
			b = a + "e0"
			if strings.ContainsAny(a, "eE") {
				b = a
			}
		}
		want := rat(t, a).Cmp(rat(t, b))
		e := destinations.Event{Data: fmt.Appendf(nil, `{"a":%s,"b":%s}`, a, b)}
		for src, f := range f {
			got, err := f.Match(t.Context(), e)
			is := want == 0
			switch {
			case strings.Contains(src, "<"):
				is = want < 0
			case strings.Contains(src, ">="):
				is = want >= 0
			}
			if err != nil || got != is {
				t.Fatalf("%s of %s and %s = %v, %v; they compare as %d", src, a, b, got, err, want)
			}
		}
	})
}

// What an expression writes down is a number as well.
func TestNumbersAgainstLiterals(t *testing.T) {
	for _, tt := range []struct {
		src, v string
		want   bool
	}{
		{`event.data.v == 0.1`, "0.1", true},
		{`event.data.v == 0.1`, "0.10", true},
		{`event.data.v == 0.1`, "0.1000000000000000055511151231257827", false},
		{`event.data.v == 1`, "1.0", true},
		{`event.data.v == 100`, "1e2", true},
		{`event.data.v == 0`, "-0", true},
		{`event.data.v == 0`, "1e-400", false},
		{`event.data.v > 0`, "1e-400", true},
		{`event.data.v > 1.7976931348623157e308`, "1e400", true},
		{`event.data.v < 1.0 / 0.0`, "1e400", true},
		{`event.data.v == 9007199254740992`, "9007199254740993.0", false},
		{`9007199254740992 == event.data.v`, "9007199254740993.0", false},
		{`9007199254740992 < event.data.v`, "9007199254740993.0", true},
		{`event.data.v in [1.5, 2.5]`, "2.50", true},
		{`event.data.v in [1, 2]`, "2.0", true},
		{`[1.5] == [event.data.v]`, "1.50", true},
		{`{'a': 1.5} == {'a': event.data.v}`, "1.50", true},
		{`{'a': event.data.v} != {'a': 1.5}`, "1.50", false},
		{`optional.of(1.5) == optional.of(event.data.v)`, "1.50", true},
		{`sets.contains([1.5, 2.5], [event.data.v])`, "2.50", true},
		{`[1.5].hasAny([event.data.v])`, "1.50", true},
		{`event.data.v == '1.5'`, "1.5", false},
		{`event.data.v != null`, "1.5", true},
		{`event.data.v * 2.0 == 3.0`, "1.50", true},
		{`double(event.data.v) == 1.5`, "1.50", true},
		{`int(event.data.v) == 100`, "1e2", true},
		{`type(event.data.v) == double`, "1e2", true},
		{`math.greatest(event.data.v, 1) == 1.5`, "1.50", true},
		{`[3, event.data.v, 1].sort() == [1, 1.5, 3]`, "1.50", true},
		{`-event.data.v == -1.5`, "1.50", true},
		{`'%.1f'.format([event.data.v]) == '1.5'`, "1.50", true},
	} {
		f, err := CompileFilter(tt.src, 0)
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		if got, err := f.Match(t.Context(), destinations.Event{Data: []byte(`{"v":` + tt.v + `}`)}); err != nil || got != tt.want {
			t.Errorf("%s with %s = %v, %v", tt.src, tt.v, got, err)
		}
	}
}

// skip and encoding/json agree on what is JSON, and what is read is written again
// as the same value.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\n\u00e9",true,null,{}]}`, `[1,]`, `{"a":1,}`, ` {} `, `"\x"`, `01`, `-`, `[[]`, `{"a" : [ ] }`, `1 2`, "\"\x01\"", `"\ud800"`} {
		f.Add([]byte(s))
	}
	tr, err := CompileTransform("event.body", 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := tr.Apply(t.Context(), destinations.Event{Data: data})
		switch {
		case err == nil && !json.Valid(data):
			t.Errorf("%q was taken for JSON", data)
		case err == nil && !json.Valid(out):
			t.Errorf("%q was written as %q", data, out)
		case err != nil && json.Valid(data) && !strings.Contains(err.Error(), "nested") && !strings.Contains(err.Error(), "twice") &&
			!strings.Contains(err.Error(), "UTF-8") && !strings.Contains(err.Error(), "surrogate"):
			t.Errorf("%q was refused: %v", data, err)
		}
	})
}
