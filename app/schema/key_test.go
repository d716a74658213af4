package schema

import (
	"errors"
	"eventserver/app/schema/tree"
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 513)
	for _, tt := range []struct{ name, ptr, data, key, want string }{
		{"text", "/a", `{"a":"ada"}`, "ada", ""},
		{"text behind others", "/a", `{"x":{"a":1},"y":[1,{"a":2}],"a":"ada"}`, "ada", ""},
		{"escapes", "/a", `{"\u0061":"\u0061\/😀"}`, "a/😀", ""},
		{"integer", "/a", `{"a":12}`, "12", ""},
		{"integer as a fraction", "/a", `{"a":12.0}`, "12", ""},
		{"integer with exponent", "/a", `{"a":-12e2}`, "-1200", ""},
		{"minus zero", "/a", `{"a":-0}`, "0", ""},
		{"large integer", "/a", `{"a":123456789012345678901234567890}`, "123456789012345678901234567890", ""},
		{"deep", "/a/1/b~1c", `{"a":[0,{"b/c":"x"}]}`, "x", ""},
		{"last byte is not read", "/a", `{"a":"x"`, "x", ""},
		{"absent", "/a", `{"b":1}`, "", `x v1: /a: x-event.key: is missing; the ordering key is needed`},
		{"absent deeper", "/a/b", `{"a":{}}`, "", `x v1: /a/b: x-event.key: is missing; the ordering key is needed`},
		{"through a text", "/a/b", `{"a":"b"}`, "", `x v1: /a/b: x-event.key: is missing; the ordering key is needed`},
		{"out of the array", "/a/1", `{"a":[0]}`, "", `x v1: /a/1: x-event.key: is missing; the ordering key is needed`},
		{"null", "/a", `{"a":null}`, "", `x v1: /a: x-event.key: must be a string or an integer but is null`},
		{"boolean", "/a", `{"a":true}`, "", `x v1: /a: x-event.key: must be a string or an integer but is a boolean`},
		{"object", "/a", `{"a":{"b":1}}`, "", `x v1: /a: x-event.key: must be a string or an integer but is an object`},
		{"array", "/a", `{"a":["b"]}`, "", `x v1: /a: x-event.key: must be a string or an integer but is an array`},
		{"fraction", "/a", `{"a":1.5}`, "", `x v1: /a: x-event.key: must be a string or an integer but is 1.5`},
		{"huge exponent", "/a", `{"a":1e99999999}`, "", `x v1: /a: x-event.key: must be a string or an integer but is 1e99999999`},
		{"empty", "/a", `{"a":""}`, "", `x v1: /a: x-event.key: must not be empty`},
		{"too long", "/a", `{"a":"` + long + `"}`, "", `x v1: /a: x-event.key: must be at most 512 bytes, not 513`},
		{"control character", "/a", `{"a":"b\n"}`, "", `x v1: /a: x-event.key: holds the control character U+000A at byte 1; remove it`},
		{"no JSON", "/a", `{"b":x`, "", `x v1: /b: json: not valid JSON at byte 5: a value is expected, not 'x'`},
		{"no JSON at the key", "/a", `{"a":x`, "", `x v1: /a: json: not valid JSON at byte 5: a value is expected, not 'x'`},
		{"cut off before", "/a", `{"b":1`, "", `x v1: json: the JSON ends too early, at byte 6; send it whole`},
		{"empty event", "/a", ``, "", `x v1: json: is empty; send one JSON object`},
		{"array of events", "/a", `[{"a":1}]`, "", `x v1: /a: x-event.key: is missing; the ordering key is needed`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			toks, _ := tree.Tokens(tt.ptr)
			s := &Schema{Type: "x", Version: 1, KeyPointer: tt.ptr, path: toks}
			key, ok, err := s.Key([]byte(tt.data))
			if tt.want == "" {
				if key != tt.key || !ok || err != nil {
					t.Errorf("Key = %q, %v, %v; want %q", key, ok, err, tt.key)
				}
				return
			}
			var v *Violation
			if !errors.As(err, &v) || v.Error() != tt.want || key != "" || !ok {
				t.Errorf("Key = %q, %v, %v; want %s", key, ok, err, tt.want)
			}
		})
	}
	if key, ok, err := new(Schema).Key([]byte(`{}`)); key != "" || ok || err != nil {
		t.Error("without a pointer:", key, ok, err)
	}
}
