package main

import (
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// People write the id first, last or between the flags. Explain refused an id
// that flags followed when one came before it.
func TestOperandsAnywhere(t *testing.T) {
	asked := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	for _, args := range [][]string{
		{"explain", "e/1", "--admin", srv.URL, "--key", "ada"},
		{"explain", "--admin", srv.URL, "e/1", "--key", "ada"},
		{"explain", "--admin", srv.URL, "--key", "ada", "e/1"},
		{"explain", "--admin", srv.URL, "--key", "ada", "--", "e/1"},
		{"explain", "--key=ada", "e/1", "-admin=" + srv.URL},
	} {
		asked = ""
		if _, err := shell(t, args...); err != nil || asked != "/v1/events/e%2F1?key=ada" {
			t.Errorf("%q: asked %q, %v", args, asked, err)
		}
	}
}

// After -- nothing is a flag; a value of a flag may look like one.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		args          string
		a, b          string
		on            bool
		n             int
		operands, bad string
	}{
		{args: "x --a 1 y -b=2 --on z", a: "1", b: "2", on: true, operands: "x y z"},
		{args: "--a 1 -- --b 2 --help -h", a: "1", operands: "--b 2 --help -h"},
		{args: "--a -- x --b --on", a: "--", b: "--on", operands: "x"},
		{args: "--a --help x", a: "--help", operands: "x"},
		{args: "- --on=false - --n -3", n: -3, operands: "- -"},
		{args: "--on false", on: true, operands: "false"},
		{args: "--a=", operands: ""},
		{args: "--a=b=c", a: "b=c"},
		{args: "x --a", bad: "c: --a: give a value behind it"},
		{args: "--on=maybe", bad: `c: --on: "maybe" is no true or false`},
		{args: "--n 1.5", bad: `c: --n: "1.5" is no number that this flag takes`},
		{args: "--long-nam x", bad: "c: there is no flag --long-nam; did you mean --long-name?"},
		{args: "--zzzzzz x", bad: "c: there is no flag --zzzzzz; eventserver c --help lists the flags"},
		{args: "---a x", bad: "c: there is no flag ---a; eventserver c --help lists the flags"},
		{args: "--=x", bad: "c: there is no flag --; eventserver c --help lists the flags"},
		{args: "1 2 3 4 5", bad: "write: eventserver c A [flags]"},
	} {
		var a, b, long string
		var on bool
		var n int
		got, err := parse("c", "A [flags]", strings.Fields(c.args), 0, 4, func(fs *flag.FlagSet) {
			fs.StringVar(&a, "a", "", "an a")
			fs.StringVar(&b, "b", "", "a b")
			fs.StringVar(&long, "long-name", "", "a long one")
			fs.BoolVar(&on, "on", false, "on")
			fs.IntVar(&n, "n", 0, "a number")
		})
		if c.bad != "" {
			if err == nil || err.Error() != c.bad || !errors.As(err, new(usageError)) {
				t.Errorf("%s: %v", c.args, err)
			}
			continue
		}
		if err != nil || a != c.a || b != c.b || on != c.on || n != c.n || c.operands != "" && strings.Join(got, " ") != c.operands {
			t.Errorf("%s: a %q b %q on %t n %d operands %q, %v", c.args, a, b, on, n, got, err)
		}
	}
}
