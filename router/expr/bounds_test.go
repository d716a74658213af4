package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A number of the event was made a double for each comparison and each sum, free of
// charge: 140 us for one near the ends of what a double holds, seconds for a loop.
func TestNumbersAreChargedForTheirText(t *testing.T) {
	slow := "2.2250738585072011" + strings.Repeat("3", 900) + "e-308"
	subnormal := "12345678901234567890123e-340"
	for _, src := range []string{
		`lists.range(1000).all(i, event.data.slow * 2.0 < 5.0)`,
		`lists.range(1000).all(i, event.data.subnormal + 1.0 < 5.0)`,
		`lists.range(1000).all(i, double(event.data.text) < 5.0)`,
		`lists.range(1000).all(i, math.abs(event.data.slow) < 5.0)`,
		`lists.range(10000).all(i, duration(event.data.time) > duration('1s'))`,
		`lists.range(10000).all(i, event.data.many.distinct().size() > 0)`,
	} {
		ev := event()
		ev.Data = fmt.Appendf(nil, `{"data":{"slow":%s,"subnormal":%s,"text":"%s","time":"%s","many":%s}}`, slow, subnormal, slow, strings.Repeat("1h1m1s", 160),
			list(100, "1."+strings.Repeat("7", 55)+"%d"))
		f, err := CompileFilter(src, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Match(t.Context(), ev); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// Reading a number as a double is priced by its text; a common one stays cheap.
func TestFloatWork(t *testing.T) {
	for _, text := range []string{"1.5", "-0.30000000000000004", "1e-280", "0.00012345678901234567", "129.95", ""} {
		if w := floatWork(text); w > 200 {
			t.Errorf("%s: %d ns", text, w)
		}
	}
	for _, text := range []string{"5e-324", "12345678901234567890123e-340", "1.7976931348623157e308", "1e-99999999999999999999"} {
		if w := floatWork(text); w < 100_000 {
			t.Errorf("%s: %d ns", text, w)
		}
	}
}

// Names with escapes were read anew at each look, free of charge when they were
// short: 15 names of 60 KB took 130 ms to compare with each other.
func TestNamesWithEscapesAreReadOnce(t *testing.T) {
	m := &meter{limits: limitsFor(0)}
	o := &object{meter: m, raw: []byte(`{"a":1,"\u0062":2,"c\n":3,"d":4}`)}
	for i, name := range []string{"a", "b", "c\n", "d"} {
		if got := o.lookup(name); got != i {
			t.Errorf("lookup(%q) = %d", name, got)
		}
	}
	if got := o.lookup(`\u0062`); got != -1 {
		t.Errorf("lookup of the name as it is written = %d", got)
	}
	read := m.work
	for range 1000 {
		o.lookup("b")
	}
	if m.work != read {
		t.Errorf("%d ns for 1,000 looks", m.work-read)
	}
	for _, raw := range []string{`{"a":1,"\u0061":2}`, `{"\u0061":1,"a":2}`, `{"b":0,"\u0061":1,"\u0061":2}`} {
		twice := &object{meter: m, raw: []byte(raw)}
		if err := twice.index(); !errors.Is(err, errTwice) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// What is written with escapes is charged at what it takes to read it.
func TestEscapesAreCharged(t *testing.T) {
	m := &meter{limits: limitsFor(0)}
	n := 100_000
	m.text([]byte(quoted(strings.Repeat(`\n`, n/2))))
	if m.work < escapeWork*n {
		t.Errorf("%d ns for %d bytes", m.work, n)
	}
}

// A loop over a text counted its characters each time, free of charge: 10,000 loops
// over 1 MiB took 6 s. A loop over an empty text was none over an empty list.
func TestLoopsGoOverListsAndMapsOnly(t *testing.T) {
	for _, data := range []string{`""`, `"text"`, `1`, `1.5`, `true`, `null`} {
		for _, macro := range []string{"all(x, true)", "exists(x, true)", "map(x, x) == []", "filter(x, true) == []", "all(i, x, true)", "transformMap(k, v, v) == {}"} {
			ev := event()
			ev.Data = []byte(`{"data":{"a":` + data + `}}`)
			f, err := CompileFilter("event.data.a."+macro, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Match(t.Context(), ev); err == nil || !strings.Contains(err.Error(), "1:11: ") || !strings.Contains(err.Error(), "no items to go over") {
				t.Errorf("%s of %s: %v", macro, data, err)
			}
		}
	}
}

// The text was CEL's: "invalid qualifier type: expr.number".
func TestIndexWithAPointSaysWhatToWrite(t *testing.T) {
	ev := event()
	ev.Data = []byte(`{"data":{"items":[1,2],"i":1.0}}`)
	f, err := CompileFilter("event.data.items[event.data.i] == 2", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Match(t.Context(), ev); err == nil || !strings.Contains(err.Error(), "write list[int(...)]") {
		t.Error(err)
	}
}

// The bound of the values that json.parse reads became one of time, and was still
// the length of the text: every list and object was none.
func TestParseReadsWhatIsJSON(t *testing.T) {
	for text, there := range map[string]bool{
		`[]`: true, `[1,2,3]`: true, `{"a":1,"b":[true,null]}`: true, ` {"a":{"b":{"c":"d"}}} `: true, `"x"`: true, `12`: true,
		`[` + strings.TrimSuffix(strings.Repeat("1,", 20_000), ",") + `]`: true,
		``: false, `[1,`: false, `{"a"}`: false, `[1] 2`: false, `nul`: false,
	} {
		ev := event()
		ev.Data = fmt.Appendf(nil, `{"data":{"text":%q}}`, text)
		f, err := CompileFilter(`json.parse(event.data.text).hasValue()`, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Match(t.Context(), ev); err != nil || got != there {
			t.Errorf("%.40s: %v, %v", text, got, err)
		}
	}
}
