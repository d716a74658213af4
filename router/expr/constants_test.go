package expr

import (
	"strings"
	"testing"

	"cel.dev/cel-go/cel"

	"eventserver/destinations"
)

// A constant that can never work is a fault of the file, with its place.
func TestConstantsAreJudgedAtLoad(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{`event.time.getHours('Europe/Berln') > 8`, `1:21: "Europe/Berln" is no time zone; write a name such as 'Europe/Berlin'`},
		{`event.time.getMonth('+25:00') == 1`, `1:21: "+25:00" is no time zone`},
		{`event.data.at.getDayOfWeek('Mars') == 1`, `1:28: "Mars"`},
		{"event.type == 'a' &&\n  timestamp(event.data.at).getDate('x/y') == 1", `2:36: "x/y"`},
		{`event.data.x.matches('(')`, `1:22: `},
		{`event.data.x.matches('((a?){30}){30}')`, `1:22: `},
		{`matches(event.data.x, '[z-a]')`, `1:23: `},
		{`event.data.l.all(x, x.matches('*'))`, `1:31: `},
		{`event.time > timestamp('2026-13-01T00:00:00Z')`, `1:23: `},
		{`event.time > timestamp('yesterday')`, `1:23: `},
		{`event.received_at - event.time > duration('5 minutes')`, `1:42: `},
		{`event.data.x == int('1x')`, `1:20: `},
		{`event.data.x == double('one')`, `1:23: `},
		{`event.data.x == bool('yes')`, `1:21: `},
		{`base64.decode('§') == b''`, `1:14: `},
		{`event.data.x / 0 > 1`, `1:16: division by zero`},
		{`event.data.x % 0 == 1`, `1:16: division by zero`},
		{`event.data.x > 1 / 0`, `1:18: division by zero`},
		{`event.data.l[-1] == 1`, `1:14: an index of -1 is out of bounds`},
		{`event.data.l[?-1].hasValue()`, `1:15: an index of -1`},
		{`[1, 2][2] == event.data.x`, `1:7: index out of bounds`},
		{`[event.data.x][1] == 2`, `1:16: an index of 1 is out of bounds`},
		{`{'a': 1}['b'] == event.data.x`, `1:9: no such key`},
		{`event.data.s.charAt(-1) == 'a'`, `1:21: charAt with -1`},
		{`event.data.s.substring(5, 2) == 'a'`, `1:27: substring from 5 to 2`},
		{`event.data.s.indexOf('a', -2) == 1`, `1:27: indexOf with -2`},
		{`event.data.l.slice(3, 1) == []`, `1:23: slice from 3 to 1`},
		{`'abc'.substring(9) == event.data.s`, `1:16: index out of range`},
		{`event.data.l.flatten(-1) == []`, `1:22: flatten with -1`},
		{`lists.range(1000000).size() == event.data.x`, `1:12: `},
		{`'%z'.format([event.data.x]) == ''`, `1:12: could not parse formatting clause`},
		{`'100%'.format([event.data.x]) == ''`, `1:14: unexpected end of string`},
		{`'%s %s'.format([event.data.x]) == ''`, `1:15: index 1 out of range`},
		{`'%.5000f'.format([event.data.x]) == ''`, `1:17: could not parse formatting clause`},
		{`math.bitShiftLeft(event.data.x, -1) == 1`, `1:33: a shift by -1`},
		{`yaml.parse(event.data.s).hasValue()`, `yaml.parse is not supported`},
		{`event.data.x / 0 > 1 || event.data.l[-1] == 1`, "1:16: division by zero; write another divisor\n1:38: an index"},
	} {
		_, err := CompileFilter(tt.src, 0)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.src, err, tt.want)
		}
	}
	for _, src := range []string{
		`event.time.getHours('Europe/Berlin') > 8`, `event.time.getHours('-03:30') > 8`, `event.time.getHours('UTC') > 8`, `event.time.getHours('') > 8`,
		`event.data.x / 0.5 > 1.0`, `event.data.l[0] == 1`, `event.data.x.matches('^a+$')`, `'%s%%'.format([event.data.x]) == ''`, `'%.2f'.format([event.data.x]) == ''`,
		`event.data.s.substring(2, 2) == ''`, `event.data.s.lastIndexOf('a') >= -1`, `[1, 2][1] == 2`, `event.time > timestamp('2026-01-01T00:00:00Z')`,
	} {
		if _, err := CompileFilter(src, 0); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// The fields of a timestamp are read in the zone that is written, also where the
// summer time begins.
func TestZoneOfAConstant(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "+05:30", "-00:30", "UTC"} {
		for name := range timeFields {
			f, err := CompileFilter("timestamp(event.data)."+name+"('"+zone+"') == timestamp(event.data)."+name+"('"+zone[:1]+"' + '"+zone[1:]+"' + (event.id == 'x' ? '' : ''))", 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []string{"2026-03-29T00:59:59.5Z", "2026-03-29T01:00:00Z", "2026-12-31T23:30:00Z", "0001-01-01T00:00:00Z"} {
				if same, err := f.Match(t.Context(), destinations.Event{Data: []byte(`"` + at + `"`)}); err != nil || !same {
					t.Errorf("%s in %s at %s: %v, %v", name, zone, at, same, err)
				}
			}
		}
	}
}

// A run that fails says what to write instead.
func TestFailuresSayWhatToWrite(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{`event.data.absent > 100`, `filter: 1:11: no such key: absent; write has(event.data.absent) && ... in front`},
		{`event.data.items[0].colour == 'red'`, `write has(event.data.items[0].colour) && ... in front`},
		{`event.data.a.b.c == 1`, `no such key: a; write has(event.data.a) && ... in front`},
		{`has(event.data.a.b)`, `no such key: a; write has(event.data.a) && ... in front`},
		{`event.body['user'] == 'x'`, `no such key: user; write "user" in event.body && ... in front`},
		{`event.data.items.exists(i, i.colour == 'red')`, `write has(i.colour) && ... in front`},
		{`event.data.tags[7] == 'x'`, `index out of bounds: 7; write size(list) > n && ... in front`},
		{`event.data.total + 1 > 0`, `no such overload: + of double and int; a number with a fraction or an exponent is a double: write double(...)`},
		{`event.data.name > 5`, `no such overload: > of string and int; write int(...), double(...) or string(...)`},
		{`event.data.none > 5`, `a member is null: write event.data.x != null && ... in front`},
		{`event.data.tags.startsWith('n')`, `no such overload: startsWith of list and string; a member is no number or text: ask for its type first`},
		{`event.data.tags > 5`, `no such overload: > of list and int; a member is no number or text: ask for its type first, such as type(event.data.x) == int && ...`},
	} {
		f, err := CompileFilter(tt.src, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Match(t.Context(), event()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.src, err, tt.want)
		}
	}
	tr, err := CompileTransform(`{'t': event.data.absent}`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Apply(t.Context(), event()); err == nil || !strings.Contains(err.Error(), "write event.data.?absent.orValue(null), or has(event.data.absent) ? ... : ...") {
		t.Error(err)
	}
}

// A function without a price cannot come into the environment.
func TestEveryFunctionHasAPrice(t *testing.T) {
	e, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	prices := table()
	for name := range prices {
		if e.env.Functions()[name] == nil {
			t.Errorf("the table has %s, which CEL does not have", name)
		}
	}
	more, err := e.env.Extend(cel.Function("surprise", cel.Overload("surprise_dyn", []*cel.Type{cel.DynType}, cel.BoolType)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPlanner(more); err == nil || !strings.Contains(err.Error(), "surprise has no price") {
		t.Errorf("newPlanner = %v", err)
	}
}

// The limits follow http.max_event_bytes.
func TestLimitsFollowTheLargestEvent(t *testing.T) {
	largest := 16 << 20
	if testing.Short() {
		largest = 4 << 20
	}
	big := destinations.Event{Type: "a", Data: []byte(`{"data":{"n":3,"pad":"` + strings.Repeat("x", largest-1<<20) + `"}}`)}
	for _, src := range []string{`event.data`, `event.body`, `{'all': event.data, 'id': event.id}`, `{'n': event.data.n, 'first': event.data.pad.substring(0, 3)}`} {
		tr, err := CompileTransform(src, largest)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tr.Apply(t.Context(), big)
		if err != nil || len(out) == 0 {
			t.Errorf("%s: %d bytes, %v", src, len(out), err)
		}
		if n := allocatedBy(func() { _, _ = tr.Apply(t.Context(), big) }); n > 64<<20 {
			t.Errorf("%s: %d MiB allocated", src, n>>20)
		}
	}
	for _, src := range []string{`event.data.n > 0 && event.data.pad.startsWith('x')`, `event.data.pad.contains('xx')`, `!event.data.pad.endsWith('y')`, `size(event.data.pad) > 5`} {
		f, err := CompileFilter(src, largest)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := f.Match(t.Context(), big); err != nil || !ok {
			t.Errorf("%s: %v, %v", src, ok, err)
		}
	}
	for src, refused := range map[string]bool{`event.data.n > 0`: true, `dyn(event).data.n > 0`: true, `has(event.body.x)`: true, `event.type == 'a' && event.key != ''`: false} {
		if _, err := CompileFilter(src, MaxEventBytes+1); (err != nil) != refused {
			t.Errorf("%s with larger events: %v", src, err)
		}
	}
}
