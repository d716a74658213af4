package expr

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// samples are events that a filter or a transform on the page must take without an
// error: with all members, with few, with none.
var samples = []string{
	`{"id":"e1","data":{"total":129.95,"a":{"b":1},"a-b":1,"items":[{"sku":"A","qty":2},{}],"email":"ann@example.com","tags":["vip"]}}`,
	`{"id":"e2","data":{"a":{},"items":[],"tags":[]}}`, `{"id":"e3","data":{}}`, `{"id":"e4","userId":"u"}`,
}

func page(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// takes compiles an expression and runs it on each sample.
func takes(t *testing.T, filter bool, src string, more ...string) {
	t.Helper()
	for _, data := range slices.Concat(samples, more) {
		e := event()
		e.Data = []byte(data)
		var err error
		if filter {
			var f *Filter
			if f, err = CompileFilter(src, 0); err == nil {
				_, err = f.Match(t.Context(), e)
			}
		} else {
			var tr *Transform
			if tr, err = CompileTransform(src, 0); err == nil {
				_, err = tr.Apply(t.Context(), e)
			}
		}
		if err != nil {
			t.Errorf("%s on %s: %v", src, data, err)
		}
	}
}

// The examples of docs/expressions.md and docs/configure.md work, also on an event
// without the members that they look at.
func TestExamplesOfThePages(t *testing.T) {
	const name = "../../docs/expressions.md"
	text := page(t, name)
	n := 0
	for _, block := range regexp.MustCompile("(?s)```(filter|transform)\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[2]) {
			takes(t, block[1] == "filter", strings.TrimSpace(line))
			n++
		}
	}
	ask := text[strings.Index(text, "## Ask before"):strings.Index(text, "## Filters")]
	for _, row := range regexp.MustCompile("(?m)^\\| `(.*?)` \\| (.*) \\|$").FindAllStringSubmatch(ask, -1) {
		if row[1][0] == '{' {
			takes(t, false, row[1])
		} else if !strings.HasPrefix(row[1], "type(") { // the page says that this one fails
			takes(t, true, row[1])
		}
		n++
	}
	// The first configuration is tried with the event that README.md posts and with those
	// of send --example: its filter once poisoned these, whose total is an object.
	posted := []string{`{"id":"e5","data":{"amount":142}}`}
	files, err := filepath.Glob("../../schemas/testdata/order.placed/valid-*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no events of order.placed: %v", err)
	}
	for _, f := range files {
		posted = append(posted, page(t, f))
	}
	configured := 0
	for _, m := range regexp.MustCompile(`(?m)^\s+(filter|transform): '(.*)'$`).FindAllStringSubmatch(page(t, "../../docs/configure.md"), -1) {
		takes(t, m[1] == "filter", m[2], posted...)
		n++
		configured++
	}
	if configured != 2 {
		t.Errorf("docs/configure.md has %d expressions, want 2", configured)
	}
	if n < 20 {
		t.Errorf("only %d examples were found", n)
	}
}

// The page lists every function and every field, and the limits that are.
func TestThePageIsComplete(t *testing.T) {
	text := page(t, "../../docs/expressions.md")
	for _, f := range fieldNames {
		if !strings.Contains(text, "`event."+f+"`") {
			t.Errorf("the page does not have event.%s", f)
		}
	}
	e, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	sign := regexp.MustCompile(`^[_@!-]|@|^in$|^__`)
	for name := range e.env.Functions() {
		if !sign.MatchString(name) && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the page does not have the function %s", name)
		}
	}
	for _, m := range e.env.Macros() {
		if name := m.Function(); name != "greatest" && name != "least" && name != "bind" && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the page does not have the macro %s", name)
		}
	}
	mib := func(n int) string {
		return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(float64(n)/(1<<20), 'f', 2, 64), "0"), ".")
	}
	small, large := limitsFor(1<<20), limitsFor(16<<20)
	for _, row := range []string{
		"| " + mib(maxRead) + " Mi | " + mib(small.read) + " Mi | " + mib(large.read) + " Mi |",
		"| " + mib(small.work) + " Mi | " + mib(large.work) + " Mi |",
		"| " + mib(small.alloc) + " MiB | " + mib(large.alloc) + " MiB |",
		"| " + mib(small.result) + " MiB | " + mib(large.result) + " MiB |",
		"| " + mib(MaxEventBytes) + " MiB |", "150,000", "16,384 characters", "128 levels", "| 10,000 |", "500 instructions; 1,000 bytes",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the page does not have %s", row)
		}
	}
}
