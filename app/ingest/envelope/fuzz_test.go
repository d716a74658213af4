package envelope_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"eventserver/app/ingest/envelope"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"id":"a","type":"t","userId":"u","time":"2026-01-31T12:00:00Z","data":{"a":[1,2.5,"x"]}}`,
		`[{"id":"a"},{"id":"b","key":"k"}]`, `[]`, `{`, `[{},`, `{"id":"\ud800"}`, "{\"a\":\"\xff\"}",
		`{"id":"a","id":"a"}`, `{"userId":"u","payload":"p"}`, `[[[[[[[[[[`, `{"a":{"a":{"a":{"a":{"a":1}}}}}`,
	} {
		f.Add([]byte(s))
	}
	lim := envelope.Limits{MaxDepth: 8, MaxEvents: 4, MaxEventBytes: 512}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		envs, batch, err := envelope.Parse(body, lim)
		_, _, perr := envelope.ParsePublish(body, lim)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		var fault *envelope.Fault
		for _, e := range []error{err, perr} {
			if e != nil && (!errors.As(e, &fault) || fault.Reason == "" || len(e.Error()) > 8<<10) {
				t.Fatalf("bad fault: %v", e)
			}
		}
		if err != nil {
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("accepted %q", body)
		}
		if len(envs) == 0 || (!batch && len(envs) != 1) {
			t.Fatalf("%d envelopes, batch %v", len(envs), batch)
		}
		rest := body
		for _, e := range envs {
			i := bytes.Index(rest, e.Raw)
			if i < 0 || e.Raw[0] != '{' || !json.Valid(e.Raw) || len(e.Raw) > lim.MaxEventBytes {
				t.Fatalf("Raw = %q in %q", e.Raw, rest)
			}
			rest = rest[i+len(e.Raw):]
			if !batch && !bytes.Equal(e.Raw, bytes.TrimSpace(body)) {
				t.Fatalf("Raw = %q, body %q", e.Raw, body)
			}
		}
	})
}

// The 200-byte event that most clients send.
func BenchmarkParse(b *testing.B) {
	body := []byte(`{"id":"01J9ZQ3T6V8W1X2Y3Z4A5B6C7D","type":"order.placed","source":"shop","userId":"user-48213","time":"2026-01-31T12:00:00Z","data":{"order":918273,"total":129.95,"items":[{"sku":"A-17","qty":2}]}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := envelope.Parse(body, envelope.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseBatch100(b *testing.B) {
	body := []byte("[")
	for range 100 {
		body = append(body, `{"type":"order.placed","source":"shop","userId":"user-48213","data":{"order":918273,"total":129.95}},`...)
	}
	body[len(body)-1] = ']'
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := envelope.Parse(body, envelope.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
