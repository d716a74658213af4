package redact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"pgregory.net/rapid"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router/record"
)

func TestMasked(t *testing.T) {
	const body = `{"customerId":"ada@example.com","amount":12.5,"phone":4412345678,"note":"a \"quoted\" <b>/ü","deep":[{"city":"Leipzig"}],"ok":true,"n":42,"short":"abc","long":"0123456789abcdefghij"}`
	for _, c := range []struct{ text, want string }{
		{"customerId is required", "customerId is required"}, // names stay
		{"unknown customer ada@example.com", "unknown customer [event]"},
		{"webhook answered 500", "webhook answered 500"},
		{"abc 42 true", "abc 42 true"}, // too short to be told from words
		{"amount 12.5 of 4412345678", "amount [event] of [event]"},
		{`in Leipzig, Leipzig`, "in [event], [event]"},
		{`note a "quoted" <b>/ü!`, "note [event]!"},
		{`note "a \"quoted\" <b>/ü"!`, `note "[event]"!`},
		{`note "a \"quoted\" \u003cb\u003e/ü"!`, `note "[event]"!`},
		{`note "a \"quoted\" <b>\/\u00fc"!`, `note "[event]"!`},
		{`cut 0123456789abcdefg... and more`, "cut [event]"},
		{"", ""},
	} {
		if got := Masked(c.text, []byte(body)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.text, got, c.want)
		}
	}
	quoted := fmt.Sprintf("bad %q", body)
	for _, v := range []string{"ada@", "12.5", "4412345678", "quoted", "Leipzig", "0123456789"} {
		if got := Masked(quoted, []byte(body)); strings.Contains(got, v) {
			t.Errorf("%s is in %s", v, got)
		}
	}
	if got := Masked("cannot read name=ada@example.com", []byte("name=ada@example.com&x=1")); got != "cannot read [event]=[event]" {
		t.Errorf("no JSON: %s", got)
	}
	if got := Masked("user ada-1 failed", nil, "ada-1"); got != "user [event] failed" {
		t.Errorf("a key: %s", got)
	}
}

// Whatever value an error quotes, in whatever usual form, it is not told.
func TestMaskedHoldsNoValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringN(maskLow, 40, 80).Draw(t, "value")
		body, err := json.Marshal(map[string]any{"x": []string{value}})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string][]string
		if err := json.Unmarshal(body, &back); err != nil {
			t.Fatal(err)
		}
		value = back["x"][0] // what is no UTF-8 becomes something else
		form := rapid.SampledFrom([]string{value, strconv.Quote(value), fmt.Sprintf("%+q", value), string(body), fmt.Sprintf("%q", body)}).Draw(t, "form")
		if got := Masked("« "+form+" »", body); strings.Contains(got, value) {
			t.Fatalf("%q is in %q", value, got)
		}
	})
}

func TestLogged(t *testing.T) {
	of := []*message.Message{{Payload: []byte(`{"name":"Lovelace"}`), Metadata: message.Metadata{infra.MetaKey: "ada-lovelace", "es_meta_" + "x-tenant": "acme-corp"}}}
	var m map[string]int
	var runtimePanic any
	func() {
		defer func() { runtimePanic = recover() }()
		m["x"] = 1
	}()
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("disk full"), "disk full"},
		{destinations.Logged(errors.New("answered 500: Lovelace"), "answered 500"), "answered 500"},
		{destinations.Unavailable(fmt.Errorf("hook: %w", destinations.Logged(errors.New("busy: Lovelace"), "busy"))), "busy"},
		{&Error{errors.New("no Lovelace (ada-lovelace of acme-corp)"), of}, "no [event] ([event] of [event])"},
		{destinations.Permanent(&Error{destinations.Logged(errors.New("x"), "no Lovelace"), of}), "no [event]"},
		{middleware.RecoveredPanicError{V: "Lovelace", Stacktrace: "main.go"}, "panic with a string"},
		{middleware.RecoveredPanicError{V: runtimePanic}, "panic: assignment to entry in nil map"},
	} {
		if got := Logged(c.err); got != c.want {
			t.Errorf("%v: got %s, want %s", c.err, got, c.want)
		}
	}
	// The poison queue keeps the words, but for the values.
	if got := Detail(destinations.Permanent(&Error{destinations.Logged(errors.New("answered 400: unknown name Lovelace"), "x"), of}), of[0].Payload); got != "answered 400: unknown name [event]" {
		t.Error(got)
	}
	// Nor has it what the event's headers carry, as they are or quoted by the receiver.
	headers := record.HeaderValues(message.Metadata{"es_meta_x-tenant": "acme-corp", "es_meta_x-note": `a "b"/c`, "es_header_x-out": "for-the-receiver", "es_meta_x-list": "first-one, second-one", "ce_id": "e1-of-them"})
	for text, want := range map[string]string{
		"answered 400: X-Tenant: acme-corp":                               "answered 400: X-Tenant: [event]",
		`answered 400: {"x-note":"a \"b\"/c","x-out":"for-the-receiver"}`: `answered 400: {"x-note":"[event]","x-out":"[event]"}`,
		"answered 400: [second-one] [first-one]":                          "answered 400: [[event]] [[event]]",
		"answered 400: e1-of-them":                                        "answered 400: e1-of-them",
	} {
		if got := Detail(errors.New(text), nil, headers...); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	batch := []*message.Message{{Metadata: message.Metadata{"es_meta_" + "x-tenant": "acme-corp"}}, {Metadata: message.Metadata{"es_meta_" + "x-tenant": "other-corp"}}}
	if got := (&BatchError{Error{errors.New("refused acme-corp and other-corp"), batch}}).Error(); got != "refused [event] and [event]" {
		t.Error(got)
	}
	if !errors.Is(&Error{context.DeadlineExceeded, of}, context.DeadlineExceeded) {
		t.Error("what the router decides by is hidden")
	}
}

func TestCleanDetail(t *testing.T) {
	for in, want := range map[string]string{
		"two\nlines\x00":          "two lines",
		"bad \xff bytes":          "bad ? bytes",
		strings.Repeat("x", 5000): strings.Repeat("x", MaxDetail),
	} {
		if got := Clean(in); got != want {
			t.Errorf("clean(%q) = %q", in, got)
		}
	}
}
