package schema

import (
	"strings"
	"sync"
	"testing"
)

func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	reg := example(t)
	for _, tt := range []struct{ name, typ, data string }{
		{"as it is", "order.placed", orderEvent},
		{"as it is", "user.signed_up", signupEvent},
		{"white space", "order.placed", " \r\n\t" + strings.ReplaceAll(orderEvent, `":`, "\" :\n ") + " "},
		{"the envelope", "order.placed", with(orderEvent, `"id":"a","type":"order.placed","source":"shop","time":"2026-01-31T12:00:00Z","userId":"ada","key":"ada"`)},
		{"integers in other forms", "order.placed", swap(t, orderEvent, `"quantity":2`, `"quantity":20e-1`)},
		{"1.0", "order.placed", swap(t, orderEvent, `"quantity":2`, `"quantity":1.0`)},
		{"multiple of a fraction", "order.placed", swap(t, orderEvent, `"quantity":2`, `"quantity":2,"discount":0.07`)},
		{"escaped names", "order.placed", swap(t, orderEvent, `"customerId"`, `"\u0063ustomerId"`)},
		{"escaped text", "order.placed", swap(t, orderEvent, `"ada"`, `"\u0061da"`)},
		{"longest in characters", "order.placed", with(orderEvent, `"note":"`+strings.Repeat("😀", 500)+`"`)},
		{"null in a union", "order.placed", with(orderEvent, `"note":null`)},
		{"second form", "order.placed", with(orderEvent, `"shipping":{"pickupPoint":"p-1"}`)},
		{"deep, as deep as it goes", "user.signed_up", with(signupEvent, `"referrer":{"campaign":"c","x":`+nested(62)+`}`)},
		{"if", "user.signed_up", with(swap(t, signupEvent, `"free"`, `"team"`), `"seats":3`)},
		{"huge number", "user.signed_up", with(signupEvent, `"labels":{"n":1e400,"m":-`+strings.Repeat("9", 300)+`}`)},
	} {
		t.Run(tt.typ+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := reg.Lookup(tt.typ)
			if err := s.Validate([]byte(tt.data)); err != nil {
				t.Error(err)
			}
		})
	}
}

// The members of the envelope are validated where the schema names them for the
// top, in any way, and only there.
func TestEnvelopeMembers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, schema, data, want string }{
		{"not named", `additionalProperties: false`, `{"id":1,"type":1,"source":1,"time":1,"userId":1,"key":1}`, ``},
		{"named in properties", `additionalProperties: false
properties: {time: {format: date-time}}`, `{"id":1,"time":"noon"}`, `x v1: /time: format: must be a date and time with zone, such as 2026-01-31T12:00:00Z but is "noon"`},
		{"named as required", `required: [id]`, `{"type":"x"}`, `x v1: required: "id" is missing`},
		{"named deeper only", `additionalProperties: false
properties: {payment: {properties: {type: {enum: [card]}}}}`, `{"type":"x","payment":{"type":"card"}}`, ``},
		{"a deeper one is not left out", `properties: {payment: {additionalProperties: false}}`, `{"payment":{"type":"card"}}`, `x v1: /payment/type: additionalProperties: is not allowed: no property is declared here`},
		{"named behind allOf and $ref", `allOf: [{$ref: "#/$defs/base"}]
$defs: {base: {required: [userId]}}`, `{}`, `x v1: required: "userId" is missing`},
		{"named in dependentRequired", `dependentRequired: {a: [key]}`, `{"a":1}`, `x v1: dependentRequired: "key" is missing, which goes with "a"`},
		{"minProperties counts without them", `minProperties: 1`, `{"id":"a"}`, `x v1: minProperties: must have at least 1 member but has 0`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := one(t, tt.schema).Validate([]byte(tt.data)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("\ngot  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// one is a schema of the type x with the keywords given.
func one(t testing.TB, keywords string) *Schema {
	t.Helper()
	rep := newReporter("s")
	root := parseYAML("x.yaml", []byte("x-event: {type: x, version: 1}\ndescription: d\ntype: object\nexamples: [{}]\n"+keywords+"\n"), rep)
	if root == nil || rep.err() != nil {
		t.Fatal(rep.err())
	}
	f := newFile("x.yaml", root, rep)
	l := &loading{rep: rep, refs: &refs{files: map[string]*file{f.name: f}}}
	newChecker(rep, l.refs).file(f)
	s := l.header(f)
	if rep.err() != nil || !l.compile(f, s) {
		t.Fatal(rep.err()) // whether its example is good is not looked at
	}
	return s
}

// propertyNames names the member at fault. The library's own kept a slice that
// later members overwrote.
func TestPropertyNamesPlace(t *testing.T) {
	t.Parallel()
	s := one(t, `additionalProperties: {propertyNames: {maxLength: 2}, additionalProperties: {propertyNames: {maxLength: 2}}}`)
	for range 20 {
		err := s.Validate([]byte(`{"a":{"ok":{}},"b":{"ok":{"ok":1,"long":1}},"c":{"ok":{}},"d":{"ok":{}}}`))
		if want := `x v1: /b/ok/long: propertyNames: the name "long" is not allowed: must have at most 2 characters but has 4`; err == nil || err.Error() != want {
			t.Fatalf("\ngot  %v\nwant %s", err, want)
		}
	}
}

func TestValidateInParallel(t *testing.T) {
	t.Parallel()
	reg := example(t)
	bad := swap(t, orderEvent, `"quantity":2`, `"quantity":0`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				order, _ := reg.Lookup("order.placed")
				signup, _ := reg.Lookup("user.signed_up")
				if err := order.Validate([]byte(orderEvent)); err != nil {
					t.Error(err)
				}
				if err := order.Validate([]byte(bad)); err == nil || err.Error() != "order.placed v1: /lines/0/quantity: minimum: must be >= 1 but is 0" {
					t.Error(err)
				}
				if key, ok, err := signup.Key([]byte(signupEvent)); key != "u-1" || !ok || err != nil {
					t.Error(key, ok, err)
				}
				if _, err := order.Bundle(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
