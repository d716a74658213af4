package exact

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

// people's types, with what encoding/json offers.
type own struct {
	Name     string `json:"name,omitempty"`
	Untagged int
	Skipped  string `json:"-"`
	Quoted   int64  `json:"quoted,string"`
	Raw      json.RawMessage
	Bytes    []byte
	Array    [3]int
	Wait     time.Duration
	At       *time.Time
	Big      *big.Int
	Float    float64
	Keys     map[int]string
	Shapes   []shape
	Iface    fmt.Stringer `json:",omitempty"`
	Any      any
	Self     *own
	Own      upper
	Text     label
	inner
	*Deeper
}

type inner struct{ In string }

// Deeper is embedded by pointer.
type Deeper struct{ Deep []string }

type shape struct{ Kind string }

type upper string

func (u *upper) UnmarshalJSON(data []byte) error {
	*u = upper(strings.ToUpper(string(data)))
	return nil
}
func (u upper) MarshalJSON() ([]byte, error) { return json.Marshal(strings.ToLower(string(u))) }

type label string

func (l *label) UnmarshalText(text []byte) error { *l = label("<" + string(text) + ">"); return nil }
func (l label) MarshalText() ([]byte, error)     { return []byte(l), nil }

// What an event's schema does not decide is as encoding/json does it.
func TestAsEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{}`, `null`, `{"name":"x<&>","Untagged":1,"-":"no","quoted":"12","Raw":{"a":[1.50]},"Bytes":"AQI=","Array":[1,2],"Wait":1500}`,
		`{"Array":[1,2,3,4],"At":"2026-01-31T12:00:00.5+01:00","Big":123456789012345678901234567890,"Float":0.1,"Keys":{"1":"a","-2":"b"}}`,
		`{"Shapes":[{"Kind":"x"},null,{}],"Any":[true,"x",null,{"y":{}}],"Self":{"Self":null,"name":"y"},"Own":{"a":1},"Text":"t","In":"i","Deep":["d"]}`,
		`{"Shapes":null,"Keys":null,"Bytes":null,"Raw":null,"Self":null,"Any":null,"name":null,"Untagged":null}`,
		`{"unknown":{"x":[1,{"y":2}]}}`,
		`{"Bytes":"!"}`, `{"Shapes":{}}`, `{"Untagged":"1"}`, `{"quoted":1.5}`, `{"At":"yesterday"}`, `{"Iface":1}`, `{"Keys":{"x":"a"}}`, `[]`, `{`, `{} {}`,
	} {
		var want, got own
		errWant, errGot := json.Unmarshal([]byte(in), &want), Unmarshal([]byte(in), &got)
		if (errWant == nil) != (errGot == nil) {
			t.Errorf("%s: %v, want %v", in, errGot, errWant)
			continue
		}
		if errWant != nil {
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", in, got, want)
		}
		outWant, errWant := json.Marshal(want)
		outGot, errGot := Marshal(got)
		if errWant != nil || errGot != nil || string(outGot) != string(outWant) {
			t.Errorf("%s, %v; want %s, %v", outGot, errGot, outWant, errWant)
		}
	}
}

// A big.Int takes any integer that the schema accepts: its own method refuses 1.0
// and 1e2.
func TestBigIntegers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"1": "1", "1.0": "1", "-12e1": "-120", "1e30": "1" + strings.Repeat("0", 30), "0.5": "", "1e999999999": "", `"1"`: "", "true": ""} {
		got := struct{ Value, Big *big.Int }{Value: new(big.Int)}
		err := Unmarshal([]byte(`{"Value":`+in+`,"Big":`+in+`}`), &got)
		if (err == nil) != (want != "") || err == nil && (got.Value.String() != want || got.Big.String() != want) {
			t.Errorf("%s: %v, %v; want %q", in, got, err, want)
		}
	}
}
