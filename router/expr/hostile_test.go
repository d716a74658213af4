package expr

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"eventserver/destinations"
)

// list gives a JSON list of n items made by format.
func list(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		if strings.Contains(format, "%") {
			fmt.Fprintf(&b, format, i)
		} else {
			b.WriteString(format)
		}
	}
	return "[" + b.String() + "]"
}

var hostile = []struct{ name, src, data string }{
	{"nested map", `event.data.map(a, event.data.map(b, event.data.map(c, a + b + c))).size() > 0`, list(1000, "%d")},
	{"nested exists", `event.data.exists(a, event.data.exists(b, a + b < 0))`, list(20000, "%d")},
	{"range in range", `lists.range(10000).all(a, lists.range(10000).all(b, a >= 0))`, "1"},
	{"range too long", `lists.range(1000000000).size() > 0`, "1"},
	{"string doubling", `['aaaaaaaaaaaaaaaa']` + strings.Repeat(`.map(s, s + s)`, 40) + `.size() > 0`, "1"},
	{"string growth", `event.data.map(a, event.body.map(b, string(a)).join('xxxxxxxxxxxxxxxx')).join('').size() > 0`, list(5000, "%d")},
	{"shared lists compared", doubling(60) + " == " + doubling(60), "1"},
	{"shared lists flattened", doubling(25) + ".flatten(30).size() > 0", "1"},
	{"distinct", `event.data.distinct().size() > 0`, list(100000, "%d")},
	{"sets", `sets.contains(event.data, event.body)`, list(100000, "%d")},
	{"regexp of the event", `event.data[0].matches(event.data[1])`, `["` + strings.Repeat("a", 500000) + `","` + strings.Repeat("(a?){9}", 100) + `b"]`},
	{"regexp of the event, short but large", `event.data[0].matches(event.data[1])`, `["` + strings.Repeat("a", 200000) + `","((a?){30}){30}b"]`},
	{"constant regexp", `event.data.matches('((a?){9}){9}b')`, `"` + strings.Repeat("a", 500000) + `"`},
	{"constant regexp, as a function", `matches(event.data, '((a?){9}){9}b')`, `"` + strings.Repeat("a", 500000) + `"`},
	{"constant regexp, typed", `string(event.data).matches('((a?){9}){9}b')`, `"` + strings.Repeat("a", 500000) + `"`},
	{"constant regexp in a loop", `lists.range(10000).all(i, !event.data.matches('((a?){9}){9}b'))`, `"` + strings.Repeat("a", 10000) + `"`},
	{"replace", `event.data.replace('', event.data).size() > 0`, `"` + strings.Repeat("a", 100000) + `"`},
	{"replace in a loop", `event.data.map(a, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa'.replace('', 'bbbbbbbbbbbbbbbbbbbb').replace('b', 'cccccccccccccccccccc').replace('c', 'dddddddddddddddddddd')).size() > 0`, list(5000, "%d")},
	{"format", `['a'].map(s, '%s%s%s%s%s%s%s%s'.format([s,s,s,s,s,s,s,s]))` + strings.Repeat(`.map(s, '%s%s%s%s%s%s%s%s'.format([s,s,s,s,s,s,s,s]))`, 12) + `.size() > 0`, "1"},
	{"format of shared lists", `'%s'.format([` + doubling(40) + `]).size() > 0`, "1"},
	{"deep comparison in a loop", `lists.range(10000).all(i, event.data == event.body)`, list(50000, "[%d]")},
	{"in, in a loop", `event.data.all(i, i in event.data)`, list(50000, "%d")},
	{"in, deep, in a loop", `lists.range(10000).all(i, event.data in [event.body])`, list(50000, "[%d]")},
	{"sort in a loop", `lists.range(10000).all(i, event.data.sort().size() > 0)`, list(50000, "%d")},
	{"join in a loop", `lists.range(10000).all(i, event.data.join('').size() > 0)`, list(50000, `"a"`)},
	{"reverse in a loop", `lists.range(10000).all(i, event.data.reverse() != [])`, `"` + strings.Repeat("a", 500000) + `"`},
	{"split in a loop", `lists.range(10000).all(i, event.data.split('').size() > 0)`, `"` + strings.Repeat("a", 500000) + `"`},
	{"charAt in a loop", `lists.range(10000).all(i, event.data.charAt(5) == 'a')`, `"` + strings.Repeat("a", 500000) + `"`},
	{"size in a loop", `lists.range(10000).all(i, event.data.size() > 5)`, `"` + strings.Repeat("é", 250000) + `"`},
	{"indexOf", `event.data[0].indexOf(event.data[1]) >= 0`, `["` + strings.Repeat("a", 500000) + `","` + strings.Repeat("a", 100000) + `b"]`},
	{"lastIndexOf", `event.data[0].lastIndexOf(event.data[1]) >= 0`, `["` + strings.Repeat("a", 500000) + `","b` + strings.Repeat("a", 100000) + `"]`},
	{"a chain of lists", `(event.data` + strings.Repeat(" + event.data", 60) + `).all(i, i >= 0)`, list(3000, "%d")},
	{"a large literal in a loop", `lists.range(10000).map(i, [i` + strings.Repeat(", 1", 5000) + `]).size() > 0`, "1"},
	{"time zones of the event", `lists.range(10000).all(i, event.time.getHours(event.data) >= 0)`, `"Europe/Berlin"`},
	{"contains in a loop", `lists.range(10000).all(i, !event.data.contains('aaaaaaaaaaaaaab'))`, `"` + strings.Repeat("a", 500000) + `"`},
}

// doubling is a list that holds itself twice, n times over.
func doubling(n int) string { return "[1]" + strings.Repeat(".map(x, [x, x])", n) }

// No expression over no event holds a worker for long: each ends with ErrLimit
// or (where it is cheap after all) with an answer. The bound is only
// there to tell an end from none: without limits most of these run for hours.
// -v tells the real times.
func TestHostile(t *testing.T) {
	for i, tt := range hostile {
		if testing.Short() && i%4 != 0 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			f, err := CompileFilter(tt.src, 0)
			if err != nil {
				t.Skipf("does not compile, which is as well: %v", err)
			}
			start := time.Now()
			ok, err := f.Match(t.Context(), destinations.Event{Data: []byte(tt.data)})
			took := time.Since(start)
			t.Logf("%v: %v, %.150v", took, ok, err)
			if took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestLimitsAreNamed(t *testing.T) {
	for _, i := range []int{0, 1, 2, 8, 9, 10, 11, 12, 13, 14, 15, 16} {
		f, err := CompileFilter(hostile[i].src, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Match(t.Context(), destinations.Event{Data: []byte(hostile[i].data)}); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", hostile[i].name, err)
		}
	}
}

func TestResultIsBounded(t *testing.T) {
	for _, src := range []string{
		doubling(19),               // small to hold, more than 1 MiB to write
		`[event.data, event.data]`, // over by a little
	} {
		tr, err := CompileTransform(src, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tr.Apply(t.Context(), destinations.Event{Data: []byte(`"` + strings.Repeat("a", DefaultEventBytes) + `"`)})
		if !errors.Is(err, ErrLimit) {
			t.Errorf("%.30s: %v", src, err)
		}
	}
}

// A large honest event passes the limits.
func TestLargeEvent(t *testing.T) {
	data := `{"data":{"items":` + list(8000, `{"sku":"A-%[1]d","qty":3,"nested":{"deep":{"er":[1,2,3,{"x":[[[[1]]]]}]}}}`) + `}}`
	if len(data) > 1<<20 {
		t.Fatal(len(data))
	}
	tr, err := CompileTransform(`{'n': event.data.items.size(), 'rare': event.data.items.filter(i, i.qty > 5), 'first': event.data.items[0]}`, 0)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	out, err := tr.Apply(t.Context(), destinations.Event{Data: []byte(data)})
	t.Logf("%v for %d bytes", time.Since(start), len(data))
	if err != nil || !strings.HasPrefix(string(out), `{"first":{"sku"`) {
		t.Errorf("Apply = %.80s, %v", out, err)
	}
}

func TestParallel(t *testing.T) {
	tr, err := CompileTransform(`{'id': event.id, 'skus': event.data.items.map(i, i.sku), 'all': event.data}`, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := event()
	want, err := tr.Apply(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := tr.Apply(t.Context(), e); err != nil || string(got) != string(want) {
					t.Errorf("%s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}
