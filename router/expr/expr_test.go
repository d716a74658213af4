package expr

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"eventserver/destinations"
)

const order = `{"id":"e1","type":"order.placed","userId":"u1","data":{"total":129.95,"big":9007199254740993,` +
	`"huge":18446744073709551615,"exact":1.10,"digits":123456789012345678901234567890,"zero":0,"neg":-5,` +
	`"name":"<Ann & \"Bob\">","tags":["new","vip"],"items":[{"sku":"A","qty":2},{"sku":"B","qty":1}],"none":null,"ok":true}}`

func event() destinations.Event {
	return destinations.Event{
		ID: "e1", Type: "order.placed", Source: "shop", Key: "u1",
		Time:       time.Date(2026, 1, 31, 13, 0, 0, 5e8, time.FixedZone("", 3600)),
		ReceivedAt: time.Date(2026, 1, 31, 12, 0, 1, 0, time.UTC),
		Data:       []byte(order),
	}
}

func TestFilter(t *testing.T) {
	tests := []struct {
		src  string
		want string // "true", "false" or a part of the error
	}{
		{`event.type == 'order.placed'`, "true"},
		{`event.type.startsWith("user.")`, "false"},
		{`event.id == 'e1' && event.source == "shop" && event.key == 'u1'`, "true"},
		{`event.time < event.received_at`, "true"},
		{`event.time.getHours() == 12`, "true"},
		{`event.received_at - event.time == duration('500ms')`, "true"},
		{`event.received_at - event.time == duration('0.5s')`, "true"},
		{`event.data.total > 100`, "true"},
		{`event.data.total > 100 && event.data.total < 129.96`, "true"},
		{`event.data.big == 9007199254740993`, "true"},
		{`event.data.big == 9007199254740992`, "false"},
		{`event.data.huge == 18446744073709551615u`, "true"},
		{`event.data.zero == 0 && event.data.zero == 0.0`, "true"},
		{`type(event.data.exact) == double && type(event.data.neg) == int`, "true"},
		{`event.data.ok`, "true"},
		{`dyn(event.type) == 'order.placed'`, "true"},
		{`dyn(event).type == 'order.placed'`, "true"},
		{`has(dyn(event).data)`, "true"},
		{`dyn(event).idd == 'x'`, "no such"},
		{`type(event) == type(event) && event == event`, "true"},
		{`has(event.data.total)`, "true"},
		{`has(event.data.absent)`, "false"},
		{`has(event.data.none)`, "true"},
		{`has(event.type) && has(event.source)`, "true"},
		{`event.data.absent == 1`, "no such key: absent"},
		{`event.data.?absent.orValue(0) == 0`, "true"},
		{`event.data.?total.orValue(0) > 100`, "true"},
		{`event.data.?a.?b.hasValue()`, "false"},
		{`event.body.userId == event.key`, "true"},
		{`event.body.data == event.data`, "true"},
		{`'vip' in event.data.tags`, "true"},
		{`'total' in event.data`, "true"},
		{`event.data.items.exists(i, i.qty > 1)`, "true"},
		{`event.data.items.all(i, i.qty > 1)`, "false"},
		{`event.data.name.matches('^<Ann')`, "true"},
		{`sets.contains(event.data.tags, ['vip'])`, "true"},
		{`event.data.tags.distinct().size() == 2`, "true"},
		{`math.greatest(event.data.neg, 3) == 3`, "true"},
		{`event.data.name.lowerAscii().contains('bob')`, "true"},
		{`event.data.none == null`, "true"},
		{`event.data.tags[5] == 'x'`, "index out of bounds"},
		{`event.data.name`, "gives string, not true or false"},
		{`event.data.total + 1 > 0`, "no such overload"},
		{`event.data.zero / event.data.zero == 1`, "division by zero"},
		{`event.data.name.matches(event.data.name + '(')`, "missing closing )"},
	}
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			f, err := CompileFilter(tt.src, 0)
			if err != nil {
				t.Fatal(err)
			}
			ok, err := f.Match(t.Context(), event())
			switch tt.want {
			case "true", "false":
				if err != nil || ok != (tt.want == "true") {
					t.Errorf("Match = %v, %v", ok, err)
				}
			default:
				if err == nil || ok || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Match = %v, %v; want the error %q", ok, err, tt.want)
				}
			}
		})
	}
}

func TestTransform(t *testing.T) {
	data := order[strings.Index(order, `{"total"`) : len(order)-1]
	tests := []struct{ src, want, err string }{
		{`{'z': 1, 'a': event.id, 'm': {'y': true, 'b': null}}`, `{"a":"e1","m":{"b":null,"y":true},"z":1}`, ""},
		{`event.data`, data, ""},
		{`{'o': event.data}`, `{"o":` + data + `}`, ""},
		{`[event.data.big, event.data.huge, event.data.neg]`, `[9007199254740993,18446744073709551615,-5]`, ""},
		{`event.data.exact`, `1.10`, ""},
		{`event.data.digits`, `123456789012345678901234567890`, ""},
		{`event.data.name`, `"<Ann & \"Bob\">"`, ""},
		{`event.data.items.map(i, i.sku)`, `["A","B"]`, ""},
		{`event.data.items.map(i, {'s': i.sku, 'n': i.qty * 2})`, `[{"n":4,"s":"A"},{"n":2,"s":"B"}]`, ""},
		{`event.data.items.filter(i, i.qty > 1)`, `[{"sku":"A","qty":2}]`, ""},
		{`event.data.items + [event.data.tags]`, `[{"sku":"A","qty":2},{"sku":"B","qty":1},["new","vip"]]`, ""},
		{`event.data.transformMap(k, v, k in ['ok', 'exact'], v)`, `{"exact":1.10,"ok":true}`, ""},
		{`[event.time, event.received_at]`, `["2026-01-31T12:00:00.5Z","2026-01-31T12:00:01Z"]`, ""},
		{`[duration('1.5s'), duration('90s'), duration('-0.25s')]`, `["1.5s","90s","-0.25s"]`, ""},
		{`b'\xff\x00'`, `"/wA="`, ""},
		{`base64.encode(b'hi')`, `"aGk="`, ""},
		{`"it's %s: %d".format([event.type, 3])`, `"it's order.placed: 3"`, ""},
		{`event.data.tags.join(',')`, `"new,vip"`, ""},
		{`{?'a': event.data.?absent, ?'t': event.data.?total}`, `{"t":129.95}`, ""},
		{`[event.data.?absent]`, `[null]`, ""},
		{`{1: 'a', true: 'b', 2u: 'c'}`, `{"1":"a","2":"c","true":"b"}`, ""},
		{`[1.0, 0.1, 1e21, 1e-7, -0.0]`, `[1,0.1,1e+21,1e-7,-0]`, ""},
		{`"\u2028\u0001é😀"`, "\"\u2028\\u0001é😀\"", ""},
		{`cel.bind(x, event.data.zero, [x, x])`, `[0,0]`, ""},
		{`event.data.tags.reverse()`, `["vip","new"]`, ""},
		{`lists.range(3)`, `[0,1,2]`, ""},
		{`event.body.userId`, `"u1"`, ""},
		{`event.type == 'x' ? dyn({'a': 1}) : null`, `null`, ""},
		{`{dyn(1): 'a', dyn('1'): 'b'}`, ``, `both written as "1"`},
		{`1.0 / 0.0`, ``, `cannot be written as JSON`},
		{`[0.0 / 0.0]`, ``, `NaN cannot be written as JSON`},
		{`[event]`, ``, `return event.body`},
		{`[dyn(int)]`, ``, `return event.body`},
		{`event.data.absent`, ``, `transform: 1:11: no such key: absent`},
		{"{'a': 1,\n 'b': event.data.absent}", ``, `transform: 2:17: no such key: absent`},
	}
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			tr, err := CompileTransform(tt.src, 0)
			if err != nil {
				t.Fatal(err)
			}
			e := event()
			for range 3 { // the same event, the same bytes
				out, err := tr.Apply(t.Context(), e)
				if tt.err != "" {
					if err == nil || !strings.Contains(err.Error(), tt.err) {
						t.Fatalf("Apply = %s, %v; want the error %q", out, err, tt.err)
					}
					continue
				}
				if err != nil || string(out) != tt.want {
					t.Fatalf("\ngot  %s, %v\nwant %s", out, err, tt.want)
				}
			}
			if !bytes.Equal(e.Data, []byte(order)) {
				t.Error("the event was changed")
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	const have = "; event has id, type, source, key, time, received_at, data, body"
	tests := []struct{ name, src, want string }{
		{"empty", " ", "1:1: the expression is empty; leave it out or write one, such as event.type == 'order.placed'"},
		{"misspelt", `event.idd == 'x'`, "1:6: undefined field 'idd'" + have},
		{"misspelt twice", "event.idd == 'x' ||\n  event.tipe == 'y'", "1:6: undefined field 'idd'" + have + "\n2:8: undefined field 'tipe'" + have},
		{"has misspelt", `has(event.idd)`, "1:4: undefined field 'idd'" + have},
		{"no such variable", `foo == 1`, "1:1: undeclared reference to 'foo'; is it misspelt, or text without quotes? The one variable is event"},
		{"types", `event.type == 1`, "1:12: == does not take (string, int); convert with string(...), int(...) or double(...), or give other arguments"},
		{"not bool", `event.type`, "1:1: a filter gives true or false, this one gives string; compare it with something"},
		{"no such function", `event.type.foo()`, "1:15: undeclared reference to 'foo'; is it misspelt, or text without quotes? The one variable is event"},
		{"made event", `event{}`, "1:6: undeclared reference to 'event'; is it misspelt, or text without quotes? The one variable is event"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CompileFilter(tt.src, 0)
			if err == nil || err.Error() != tt.want {
				t.Errorf("\ngot  %v\nwant %s", err, tt.want)
			}
		})
	}
	for _, src := range []string{`event.type ==`, `((`, `event.type == 'x`, `"a".matches('(')`, strings.Repeat("(", 500), strings.Repeat("a", maxSource+1)} {
		if _, err := CompileFilter(src, 0); err == nil || !strings.Contains(err.Error(), ":") {
			t.Errorf("CompileFilter(%.20q) = %v", src, err)
		}
	}
	for _, src := range []string{`event`, `int`} {
		if _, err := CompileTransform(src, 0); err == nil || !strings.Contains(err.Error(), "return event.body") {
			t.Errorf("CompileTransform(%q) = %v", src, err)
		}
	}
}

// Bodies that are not the posted object of a client of ours.
func TestOtherBodies(t *testing.T) {
	tests := []struct{ data, src, want, err string }{
		{`{"a":1}`, `event.data`, `{"a":1}`, ""},
		{`{"a":1,"data":null}`, `event.data`, `null`, ""},
		{`{"a":1,"data":"x"}`, `event.data`, `"x"`, ""},
		{`[1]`, `event.data`, `[1]`, ""},
		{`{"n":1e999}`, `event.data`, `{"n":1e999}`, ""},
		{`{"n":1e999}`, `event.data.n`, `1e999`, ""},
		{`{"n":1e999}`, `event.data.n * 2.0`, ``, "beyond a double"},
		{`{"a":1,"a":2}`, `event.data`, ``, "duplicate"},
		{``, `event.data`, ``, "cannot be read as JSON"},
		{`{} {}`, `event.body`, ``, "more than one JSON value"},
		{`nope`, `event.body.a`, ``, "cannot be read as JSON"},
		{strings.Repeat("[", 9000), `event.body`, ``, "nested more than 128"},
	}
	for _, tt := range tests {
		tr, err := CompileTransform(tt.src, 0)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tr.Apply(t.Context(), destinations.Event{Data: []byte(tt.data)})
		if string(out) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s of %.20s = %s, %v; want %s %s", tt.src, tt.data, out, err, tt.want, tt.err)
		}
	}
}

// An expression that does not look at the body does not pay for reading it,
// and works on events that are no JSON.
func TestBodyIsReadOnlyWhenAsked(t *testing.T) {
	f, err := CompileFilter(`event.type == 'a' || event.data.x == 1`, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := destinations.Event{Type: "a", Data: []byte("not JSON")}
	if ok, err := f.Match(t.Context(), e); !ok || err != nil {
		t.Errorf("Match = %v, %v", ok, err)
	}
	e.Type = "b"
	if _, err := f.Match(t.Context(), e); err == nil {
		t.Error("no error for a body that is no JSON")
	}
}

func TestCancelled(t *testing.T) {
	f, err := CompileFilter(`true`, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Match(ctx, event()); !errors.Is(err, context.Canceled) || errors.Is(err, ErrLimit) {
		t.Errorf("Match = %v", err)
	}
}

// lateCtx is cancelled between the check before a run and the run.
type lateCtx struct {
	context.Context
	asked atomic.Bool
}

func (c *lateCtx) Err() error {
	if c.asked.CompareAndSwap(false, true) {
		return nil
	}
	return c.Context.Err()
}

func TestInterrupted(t *testing.T) {
	f, err := CompileFilter(`lists.range(5000).all(i, i >= 0)`, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Match(&lateCtx{Context: ctx}, event()); !errors.Is(err, context.Canceled) || errors.Is(err, ErrLimit) {
		t.Errorf("Match = %v", err)
	}
}
