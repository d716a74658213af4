package exact

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// number is a type of a program's own.
type number int16

// values has a field of each kind. Generated types have such fields, and types
// that people write, which have times too.
type values struct {
	E     string              `json:"e"`
	I     int64               `json:"i"`
	Own   number              `json:"own"`
	U     uint8               `json:"u"`
	P     *int                `json:"p"`
	Any   any                 `json:"any"`
	N     json.Number         `json:"n"`
	Big   Integer             `json:"big"`
	When  DateTime            `json:"when"`
	Null  Nullable[string]    `json:"null,omitzero"`
	List  Nullable[[]number]  `json:"list,omitzero"`
	Map   map[string]int64    `json:"map"`
	Inner map[string][]values `json:"inner"`
}

type withTime struct {
	T time.Time  `json:"t"`
	P *time.Time `json:"p"`
}

func readers() map[string]func([]byte, any) error {
	return map[string]func([]byte, any) error{
		"generated": func(data []byte, v any) error { return jsonv2.Unmarshal(data, v, exactly) },
		"written":   Unmarshal,
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	five, text := 5, "x"
	for in, want := range map[string]values{
		`{"e":"trade","E":1767225600123}`:                       {E: "trade"},
		`{"E":"x","ſ":1,"i":1,"I":2,"İ":3,"ı":4}`:               {I: 1},
		`{"i":1.0,"own":1e2,"u":2550e-1,"p":5.000}`:             {I: 1, Own: 100, U: 255, P: &five},
		`{"i":-0,"own":-0.0,"u":0e9,"p":null}`:                  {},
		`{"i":-9223372036854775808,"map":{"a":1.0,"A":2E1}}`:    {I: math.MinInt64, Map: map[string]int64{"a": 1, "A": 20}},
		`{"any":9007199254740993}`:                              {Any: json.Number("9007199254740993")},
		`{"any":[1.50,{"a":1e400,"A":null}]}`:                   {Any: []any{json.Number("1.50"), map[string]any{"a": json.Number("1e400"), "A": nil}}},
		`{"n":0.10,"big":1.20e1}`:                               {N: "0.10", Big: "12"},
		`{"big":123456789012345678901234567890}`:                {Big: "123456789012345678901234567890"},
		`{"big":1e30,"when":"2016-12-31t23:59:60z"}`:            {Big: "1" + Integer(strings.Repeat("0", 30)), When: "2016-12-31t23:59:60z"},
		`{"null":null,"list":[]}`:                               {Null: Nullable[string]{Null: true}, List: Nullable[[]number]{Value: &[]number{}}},
		`{"null":"x","list":[1.0,null]}`:                        {Null: Nullable[string]{Value: &text}, List: Nullable[[]number]{Value: &[]number{1, 0}}},
		`{"inner":{"k":[{"e":"y","E":1,"i":1e1,"list":null}]}}`: {Inner: map[string][]values{"k": {{E: "y", I: 10, List: Nullable[[]number]{Null: true}}}}},
	} {
		for name, read := range readers() {
			var got values
			if err := read([]byte(in), &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s is %+v, %v; want %+v", name, in, got, err, want)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"e":"a","e":"b"}`:             "duplicate",
		`{"x":1,"x":2}`:                 "duplicate",
		`{"any":{"x":[{"y":1,"y":2}]}}`: "duplicate",
		`{"map":{"a":1,"a":2}}`:         "duplicate",
		"{\"e\":\"\xff\"}":              "UTF-8",
		"{\"\xff\":1}":                  "UTF-8",
		`{"e":"\ud800"}`:                "surrogate",
		`{"any":["\udc00x"]}`:           "surrogate",
		`{"i":1.5}`:                     "1.5 is not an integer",
		`{"i":9223372036854775808}`:     "9223372036854775808 does not fit into int64",
		`{"own":1e5}`:                   "100000 does not fit into exact.number",
		`{"u":-1.0}`:                    "-1 does not fit into uint8",
		`{"big":1e1000000000}`:          "is not between -1000 and 1000",
		`{"big":0.1}`:                   "0.1 is not an integer",
		`{"big":"1"}`:                   "is not an integer",
	} {
		for name, read := range readers() {
			var got values
			if err := read([]byte(in), &got); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is %+v, %v; want %s", name, in, got, err, want)
			}
		}
	}
}

// The error of a deep value names its place.
func TestErrorNamesThePlace(t *testing.T) {
	t.Parallel()
	for name, read := range readers() {
		var got values
		if err := read([]byte(`{"inner":{"k":[{},{"i":0.5}]}}`), &got); err == nil || !strings.Contains(err.Error(), "/inner/k/1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is written is what was read; integers are written in digits.
func TestWrites(t *testing.T) {
	t.Parallel()
	const in = `{"e":"<&>","i":1,"own":2,"u":3,"p":4,"any":{"b":[1.50,null],"a":1e400},"n":1.10,"big":7.0,"when":"2016-12-31T23:59:60.5+01:00","null":null,"list":[],"map":{},"inner":null}`
	want := strings.Replace(in, `"b":[1.50,null],"a":1e400`, `"a":1e400,"b":[1.50,null]`, 1)
	want = strings.Replace(want, "7.0", "7", 1)
	var v values
	if err := Unmarshal([]byte(in), &v); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(any) ([]byte, error){"generated": marshalExact, "written": Marshal, "encoding/json": json.Marshal} {
		out, err := write(v)
		if err != nil || strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(out)) != want {
			t.Errorf("%s: %s, %v", name, out, err)
		}
	}
	for _, write := range []func(any) ([]byte, error){marshalExact, Marshal} {
		if out, err := write(values{E: "\xff"}); err == nil {
			t.Errorf("%s", out)
		}
		if out, err := write(values{Big: "1.5"}); err == nil {
			t.Errorf("%s", out)
		}
		if out, err := write(values{}); err != nil || !strings.Contains(string(out), `"n":0,"big":0`) {
			t.Errorf("%s, %v", out, err)
		}
	}
}

func TestDateTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-01-31T12:00:00Z":                "2026-01-31T12:00:00Z",
		"2026-01-31t12:00:00.5z":              "2026-01-31T12:00:00.5Z",
		"2026-01-31T12:00:00-00:00":           "2026-01-31T12:00:00Z",
		"2026-01-31T12:00:00.123456789+23:59": "2026-01-30T12:01:00.123456789Z",
		"2016-12-31T23:59:60Z":                "2017-01-01T00:00:00Z",
		"2016-12-31T15:59:60.25-08:00":        "2017-01-01T00:00:00.25Z",
		"0000-01-01T00:00:00Z":                "0000-01-01T00:00:00Z",
	} {
		got, err := DateTime(in).Time()
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%s is %v, %v", in, got, err)
		}
		var v withTime
		if err := Unmarshal([]byte(`{"t":"`+in+`","p":"`+in+`"}`), &v); err != nil || !v.T.Equal(got) || !v.P.Equal(got) {
			t.Errorf("%s is %+v, %v", in, v, err)
		}
	}
	for _, in := range []string{"", "x", "2026-01-31", "2026-01-31T12:00:61Z", "2016-12-31T23:59:6"} {
		if got, err := DateTime(in).Time(); err == nil {
			t.Errorf("%q is %v", in, got)
		}
	}
	now := time.Now()
	if got, err := DateTimeOf(now).Time(); err != nil || !got.Equal(now) {
		t.Errorf("%v is %v, %v", now, got, err)
	}
}

func TestInteger(t *testing.T) {
	t.Parallel()
	if n, err := IntegerOf(-4200).Int64(); n != -4200 || err != nil {
		t.Error(n, err)
	}
	if n, err := Integer("").Int64(); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := Integer("9223372036854775808").Int64(); err == nil {
		t.Error(n)
	}
	if n, ok := Integer("9223372036854775808").BigInt(); !ok || n.String() != "9223372036854775808" {
		t.Error(n, ok)
	}
}

// However an integer is written, it is read as its digits.
func TestIntegerAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		digits := string(IntegerOf(n))
		zeros := strings.Repeat("0", rapid.IntRange(1, 30).Draw(t, "zeros"))
		text := digits + "." + zeros
		if n != 0 && rapid.Bool().Draw(t, "exponent") {
			text = fmt.Sprintf("%s%s%s%d", digits, zeros, rapid.SampledFrom([]string{"e-", "E-", "e-0"}).Draw(t, "e"), len(zeros))
		}
		var v values
		if err := Unmarshal([]byte(`{"i":`+text+`,"big":`+text+`}`), &v); err != nil || v.I != n || string(v.Big) != digits {
			t.Fatalf("%s is %+v, %v", text, v, err)
		}
	})
}
