package envelope_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"eventserver/app/ingest/envelope"
)

func deep(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }

func TestParseFaults(t *testing.T) {
	long := strings.Repeat("x", 600)
	small := envelope.Limits{MaxDepth: 4, MaxEvents: 3, MaxEventBytes: 64}
	tests := []struct {
		name, body, want string
		lim              envelope.Limits
	}{
		// the body as a whole
		{"empty", ``, `body: is empty; send one JSON object or an array of objects`, small},
		{"blank", " \n", `body: is empty; send one JSON object or an array of objects`, small},
		{"byte order mark", "\xef\xbb\xbf{}", `body: begins with a byte order mark; send UTF-8 without one`, small},
		{"utf-16", "{\x00}\x00", `body: not valid JSON at byte 1: a value is expected, not '\x00'`, small},
		{"null", `null`, `body: must be one JSON object or an array of objects, not null`, small},
		{"number", `12`, `body: must be one JSON object or an array of objects, not a number`, small},
		{"string", `"x"`, `body: must be one JSON object or an array of objects, not a string`, small},
		{"boolean", `true`, `body: must be one JSON object or an array of objects, not a boolean`, small},
		{"garbage", `hello`, `body: not valid JSON at byte 0: a value is expected, not 'h'`, small},
		{"closed first", `}`, `body: not valid JSON at byte 0: a value is expected, not '}'`, small},
		{"cut off", `{"id":"a"`, `body: the JSON ends too early, at byte 9; send it whole`, small},
		{"cut off in a string", `{"id":"a`, `id: the JSON ends too early, at byte 8; send it whole`, small},
		{"cut off in data", `{"data":{"a":[1,`, `data.a: the JSON ends too early, at byte 16; send it whole`, small},
		{"trailing object", `{} {}`, `body: has more data after the JSON value, at byte 3; send one object or one array of objects`, small},
		{"trailing garbage", `{}x`, `body: has more data after the JSON value, at byte 2; send one object or one array of objects`, small},
		{"trailing after array", `[{}],`, `body: has more data after the JSON value, at byte 4; send one object or one array of objects`, small},
		{"trailing NUL", "{}\x00", `body: has more data after the JSON value, at byte 2; send one object or one array of objects`, small},
		{"comma at the end", `{"id":"a",}`, `body: has a comma with nothing after it, at byte 9; remove it`, small},
		{"comment", `{/*x*/}`, `body: not valid JSON at byte 1: a value is expected, not '/'`, small},
		{"single quotes", `{'id':'a'}`, `body: not valid JSON at byte 1: a value is expected, not '\''`, small},
		{"name without value", `{"id"}`, `id: not valid JSON at byte 5: a colon after the name is expected, not '}'`, small},
		{"number as name", `{1:2}`, `body: not valid JSON at byte 1: a name in double quotes is expected`, small},
		{"leading zero", `{"data":01}`, `body: not valid JSON at byte 9: a comma or } is expected, not '1'`, small},
		{"NaN", `{"data":NaN}`, `data: not valid JSON at byte 8: a value is expected, not 'N'`, small},
		{"raw newline", "{\"data\":\"a\nb\"}", `data: not valid JSON at byte 10: a control character stands in a string; escape it, a line break as \n`, small},
		// encoding: encoding/json would replace these silently
		{"invalid UTF-8 in a value", "{\"data\":\"a\xffb\"}", `data: invalid UTF-8 at byte 10; send the body encoded as UTF-8`, small},
		{"invalid UTF-8 in the id", "{\"id\":\"\xc3(\"}", `id: invalid UTF-8 at byte 7; send the body encoded as UTF-8`, small},
		{"invalid UTF-8 in a name", "{\"\x80\":1}", `body: invalid UTF-8 at byte 2; send the body encoded as UTF-8`, small},
		{"invalid UTF-8 outside", "{}\xff", `body: has more data after the JSON value, at byte 2; send one object or one array of objects`, small},
		{"lone surrogate", `{"data":"\ud800"}`, `data: not valid JSON at byte 9: a string has half of a surrogate pair (\ud800 to \udfff); write both halves, or the character`, small},
		// repeated names: encoding/json would keep the last
		{"id twice", `{"id":"a","id":"b"}`, `id: is given more than once; send each name once`, small},
		{"id twice, escaped", `{"id":"a","\u0069d":"b"}`, `id: is given more than once; send each name once`, small},
		{"other field twice", `{"x":1,"x":1}`, `x: is given more than once; send each name once`, small},
		{"twice in data", `{"data":{"a":[{"b":1,"b":2}]}}`, `data.a[0].b: is given more than once; send each name once`, small},
		{"odd name twice", `{"data":{"a b":1,"a b":2}}`, `data["a b"]: is given more than once; send each name once`, small},
		// id
		{"id number", `{"id":7}`, `id: must be a string, not a number; put it in quotes`, small},
		{"id null", `{"id":null}`, `id: must be a string, not null; leave the field out instead`, small},
		{"id object", `{"id":{}}`, `id: must be a string, not an object; put it in quotes`, small},
		{"id empty", `{"id":""}`, `id: must not be empty; leave the field out or give it a value`, small},
		{"id long", `{"id":"` + long[:257] + `"}`, `id: must be at most 256 bytes, not 257; shorten it`, envelope.Limits{}},
		{"id very long", `{"id":"` + strings.Repeat(long, 9) + `"}`, `id: must be at most 256 bytes; shorten it`, envelope.Limits{}},
		{"id control", `{"id":"a\u0007"}`, `id: holds the control character U+0007 at byte 1; remove it`, small},
		{"id DEL", "{\"id\":\"a\x7f\"}", `id: holds the control character U+007F at byte 1; remove it`, small},
		{"id bidi override", `{"id":"a\u202eb"}`, `id: holds the unprintable character U+202E at byte 1; remove it`, small},
		{"id value missing", `{"id":}`, `id: not valid JSON at byte 6: a value is expected, not '}'`, small},
		// type, source
		{"type boolean", `{"type":true}`, `type: must be a string, not a boolean; put it in quotes`, small},
		{"type long", `{"type":"` + long[:300] + `"}`, `type: must be at most 256 bytes, not 300; shorten it`, envelope.Limits{}},
		{"source array", `{"source":[]}`, `source: must be a string, not an array; put it in quotes`, small},
		{"source control", `{"source":"a\nb"}`, `source: holds the control character U+000A at byte 1; remove it`, small},
		{"source C1 control", `{"source":"\u0085"}`, `source: holds the control character U+0085 at byte 0; remove it`, small},
		// key, userId
		{"userId number", `{"userId":42}`, `userId: must be a string, not a number; put it in quotes`, small},
		{"userId empty", `{"userId":""}`, `userId: must not be empty; leave the field out or give it a value`, small},
		{"userId long", `{"userId":"` + long[:257] + `"}`, `userId: must be at most 256 bytes, not 257; shorten it`, envelope.Limits{}},
		{"key empty", `{"key":""}`, `key: must not be empty; leave the field out or give it a value`, small},
		{"key long", `{"key":"` + long[:513] + `"}`, `key: must be at most 512 bytes, not 513; shorten it`, envelope.Limits{}},
		{"key NUL", `{"key":"\u0000"}`, `key: holds the control character U+0000 at byte 0; remove it`, small},
		{"key and userId differ", `{"key":"a","userId":"b"}`, `key: differs from userId; send one of them, or the same value in both`, small},
		// time
		{"time date only", `{"time":"2026-01-31"}`, `time: must be an RFC 3339 time such as 2026-01-31T12:00:00Z`, small},
		{"time number", `{"time":1700000000}`, `time: must be a string, not a number; put it in quotes`, small},
		{"time no zone", `{"time":"2026-01-31T12:00:00"}`, `time: must be an RFC 3339 time such as 2026-01-31T12:00:00Z`, small},
		{"time one-digit hour", `{"time":"2026-01-31T1:00:00Z"}`, `time: must be an RFC 3339 time such as 2026-01-31T12:00:00Z`, small},
		{"time comma", `{"time":"2026-01-31T01:00:00,5Z"}`, `time: must be an RFC 3339 time such as 2026-01-31T12:00:00Z`, small},
		{"time zone", `{"time":"2026-01-31T01:00:00+99:00"}`, `time: must be an RFC 3339 time such as 2026-01-31T12:00:00Z`, small},
		{"time after 9999 in UTC", `{"time":"9999-12-31T23:59:59-01:00"}`, `time: is not in the years 0001 to 9999, in UTC; send one that is`, small},
		{"time in the year 0 in UTC", `{"time":"0001-01-01T00:00:00+10:00"}`, `time: is not in the years 0001 to 9999, in UTC; send one that is`, small},
		{"time before the year 0 in UTC", `[{},{"time":"0000-01-01T00:00:00+10:00"}]`, `[1].time: is not in the years 0001 to 9999, in UTC; send one that is`, small},
		{"time no such day", `{"time":"2026-02-30T01:00:00Z"}`, `time: must be an RFC 3339 time such as 2026-01-31T12:00:00Z`, small},
		// limits
		{"too deep", deep(5), `a.a.a.a: is nested more than 4 levels deep; flatten the event`, small},
		{"too deep by default", deep(9000), strings.Repeat("a.", 15) + `a...: is nested more than 64 levels deep; flatten the event`, envelope.Limits{}},
		{"too deep in a batch", `[{},` + deep(5) + `]`, `[1].a.a.a.a: is nested more than 4 levels deep; flatten the event`, small},
		{"too deep, and broken", strings.Repeat("[", 20), `[0]: must be a JSON object, not an array`, envelope.Limits{}},
		{"too large", `{"data":"` + long[:60] + `"}`, `body: is 71 bytes, more than the limit of 64; send less, or a link to it`, small},
		{"too large in a batch", `[{},{"data":"` + long[:60] + `"}]`, `[1]: is 71 bytes, more than the limit of 64; send less, or a link to it`, small},
		{"too many", `[{},{},{},{}]`, `body: holds more than 3 events; send at most 3 in one request`, small},
		// batches
		{"no events", `[]`, `body: is an empty array; send at least one event`, small},
		{"item number", `[{},1]`, `[1]: must be a JSON object, not a number`, small},
		{"item null", `[null]`, `[0]: must be a JSON object, not null`, small},
		{"item array", `[[{}]]`, `[0]: must be a JSON object, not an array`, small},
		{"item fault", `[{},{"id":1}]`, `[1].id: must be a string, not a number; put it in quotes`, small},
		{"item name twice", `[{},{"data":{"a":1,"a":1}}]`, `[1].data.a: is given more than once; send each name once`, small},
		{"same id", `[{"id":"a"},{},{"id":"a"}]`, `[2].id: is also the id of [0]; give each event its own id`, small},
		{"array cut off", `[{},`, `body: the JSON ends too early, at byte 4; send it whole`, small},
		{"array comma at the end", `[{},]`, `body: has a comma with nothing after it, at byte 3; remove it`, small},
		{"array without comma", `[{} {}]`, `body: not valid JSON at byte 4: a comma or ] is expected, not '{'`, small},
		{"array closed wrongly", `[{}}`, `body: not valid JSON at byte 3: a comma or ] is expected, not '}'`, small},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			envs, _, err := envelope.Parse([]byte(tt.body), tt.lim)
			var f *envelope.Fault
			if !errors.As(err, &f) {
				t.Fatalf("Parse = %v, %v; want the fault %s", envs, err, tt.want)
			}
			if envs != nil {
				t.Error("envelopes beside a fault")
			}
			if f.Error() != tt.want {
				t.Errorf("\ngot  %s\nwant %s", f, tt.want)
			}
			if tooLarge := strings.HasPrefix(tt.name, "too large") || tt.name == "too many"; f.TooLarge != tooLarge {
				t.Errorf("TooLarge = %v", f.TooLarge)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	at := time.Date(2026, 1, 31, 11, 0, 0, 500, time.UTC)
	tests := []struct {
		name, body string
		want       envelope.Envelope // Raw: the whole body, trimmed
	}{
		{"nothing given", `{}`, envelope.Envelope{}},
		{"all fields", `{"id":"a","type":"t","source":"s","userId":"u","key":"u","time":"2026-01-31T12:00:00.0000005+01:00","data":{}}`,
			envelope.Envelope{ID: "a", Type: "t", Source: "s", Key: "u", Time: at}},
		{"earliest time", `{"time":"0000-12-31T23:59:59-00:01"}`, envelope.Envelope{Time: time.Date(1, 1, 1, 0, 0, 59, 0, time.UTC)}},
		{"latest time", `{"time":"9999-12-31T23:59:59.999999999Z"}`, envelope.Envelope{Time: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)}},
		{"key", `{"key":"k"}`, envelope.Envelope{Key: "k"}},
		{"userId", `{"userId":"k"}`, envelope.Envelope{Key: "k"}},
		{"empty type and source", `{"type":"","source":""}`, envelope.Envelope{}},
		{"names in another case", `{"ID":1,"Type":2,"userid":3,"Time":4}`, envelope.Envelope{}},
		{"escaped name", `{"\u0069d":"a"}`, envelope.Envelope{ID: "a"}},
		{"escaped value", `{"id":"\u00e9\/\"","userId":"\ud83d\ude00"}`, envelope.Envelope{ID: `é/"`, Key: "😀"}},
		{"names nested are not looked at", `{"data":{"id":1,"key":2,"userId":"x"}}`, envelope.Envelope{}},
		{"data of any kind", `{"data":null}`, envelope.Envelope{}},
		{"large numbers and HTML", `{"n":9007199254740993,"d":1.10,"e":1e999,"h":"<&>"}`, envelope.Envelope{}},
		{"white space kept", "{ \"id\" : \"a\" ,\n\t\"x\" : [ 1 , 2 ] }", envelope.Envelope{ID: "a"}},
		{"longest id", `{"id":"` + strings.Repeat("i", 256) + `"}`, envelope.Envelope{ID: strings.Repeat("i", 256)}},
		{"longest key, all escaped", `{"key":"` + strings.Repeat(`\u006b`, 512) + `"}`, envelope.Envelope{Key: strings.Repeat("k", 512)}},
		{"deepest", deep(64), envelope.Envelope{}},
		{"brackets in strings are no depth", `{"a":"` + strings.Repeat(`[{\"`, 100) + `"}`, envelope.Envelope{}},
		{"id with a replacement character of its own", `{"id":"\ufffd"}`, envelope.Envelope{ID: "\ufffd"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, batch := range []bool{false, true} {
				body := " " + tt.body + "\n"
				if batch {
					body = "[ " + tt.body + "\t]"
				}
				envs, isBatch, err := envelope.Parse([]byte(body), envelope.Limits{})
				if err != nil || isBatch != batch || len(envs) != 1 {
					t.Fatalf("Parse = %d envelopes, %v, %v", len(envs), isBatch, err)
				}
				got := envs[0]
				if string(got.Raw) != tt.body {
					t.Errorf("Raw = %q", got.Raw)
				}
				got.Raw = nil
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
			}
		})
	}
}

// An append to one Raw must not write into the next event of the batch.
func TestRawIsItsOwnSlice(t *testing.T) {
	body := []byte(`[{"id":"a"},{"id":"b"}]`)
	envs, _, err := envelope.Parse(body, envelope.Limits{})
	if err != nil || len(envs) != 2 {
		t.Fatal(envs, err)
	}
	_ = append(envs[0].Raw, "!!!!"...)
	if string(envs[1].Raw) != `{"id":"b"}` || &envs[0].Raw[0] != &body[1] {
		t.Errorf("Raw = %s", envs[1].Raw)
	}
}

func TestParsePublish(t *testing.T) {
	tests := []struct{ name, body, user, payload, want string }{
		{"plain", `{"userId":"u","payload":"p"}`, "u", "p", ""},
		{"empty payload", `{"payload":"","userId":"u"}`, "u", "", ""},
		{"escapes and controls", `{"userId":"u","payload":"a\n\u0000<&>\ud83d\ude00"}`, "u", "a\n\x00<&>😀", ""},
		{"others ignored", `{"userId":"u","payload":"p","x":{"y":1}}`, "u", "p", ""},
		{"no userId", `{"payload":"p"}`, "", "", `userId: is missing; give the user the event belongs to`},
		{"no payload", `{"userId":"u"}`, "", "", `payload: is missing; give it as a string`},
		{"names in another case", `{"userid":"u","Payload":"p"}`, "", "", `userId: is missing; give the user the event belongs to`},
		{"userId number", `{"userId":1,"payload":"p"}`, "", "", `userId: must be a string, not a number; put it in quotes`},
		{"userId empty", `{"userId":"","payload":"p"}`, "", "", `userId: must not be empty; leave the field out or give it a value`},
		{"userId control", `{"userId":"\t","payload":"p"}`, "", "", `userId: holds the control character U+0009 at byte 0; remove it`},
		{"payload object", `{"userId":"u","payload":{}}`, "", "", `payload: must be a string, not an object; put it in quotes`},
		{"payload null", `{"userId":"u","payload":null}`, "", "", `payload: must be a string, not null; leave the field out instead`},
		{"payload twice", `{"userId":"u","payload":"a","payload":"b"}`, "", "", `payload: is given more than once; send each name once`},
		{"payload not UTF-8", "{\"userId\":\"u\",\"payload\":\"\xff\"}", "", "", `payload: invalid UTF-8 at byte 25; send the body encoded as UTF-8`},
		{"array", `[]`, "", "", `body: must be a JSON object with "userId" and "payload", not an array`},
		{"empty", ``, "", "", `body: is empty; send one JSON object or an array of objects`},
		{"cut off", `{"userId":"u"`, "", "", `body: the JSON ends too early, at byte 13; send it whole`},
		{"trailing", `{"userId":"u","payload":"p"}{}`, "", "", `body: has more data after the JSON value, at byte 28; send one object or one array of objects`},
		{"too large", `{"userId":"u","payload":"` + strings.Repeat("p", 200) + `"}`, "", "", `body: is 227 bytes, more than the limit of 128; send less, or a link to it`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			user, payload, err := envelope.ParsePublish([]byte(tt.body), envelope.Limits{MaxEventBytes: 128})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if user != tt.user || payload != tt.payload || got != tt.want {
				t.Errorf("\ngot  %q, %q, %s\nwant %q, %q, %s", user, payload, got, tt.user, tt.payload, tt.want)
			}
		})
	}
}
