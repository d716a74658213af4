package jsonfault

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// What the decoder says today, in our words: another text of another version of it
// would be said without its reason, and this test would tell.
func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		`hello`:                     `: a value is expected, not 'h'`,
		`{"a":}`:                    `: a value is expected after the name`,
		"\ufeff{}":                  `: a value is expected, not '\ufeff'`,
		`{'a':1}`:                   `: a value is expected, not '\''`,
		`{1:2}`:                     `: a name in double quotes is expected`,
		`{"a"}`:                     `: a colon after the name is expected, not '}'`,
		`{"a":1 "b":2}`:             `: a comma or } is expected, not '"'`,
		`{"a":01}`:                  `: a comma or } is expected, not '1'`,
		`[{} {}]`:                   `: a comma or ] is expected, not '{'`,
		`[-x]`:                      `: a digit is expected, not 'x'`,
		"[\"\xff\"]":                `: it is not UTF-8`,
		`[tru]`:                     `: true, false or null is misspelt`,
		"[\"a\nb\"]":                `: a control character stands in a string; escape it, a line break as \n`,
		`["\ud800"]`:                `: a string has half of a surrogate pair (\ud800 to \udfff); write both halves, or the character`,
		`["C:\x"]`:                  `: a string has a backslash that begins no escape of JSON; write \\ for a backslash`,
		strings.Repeat("[", 20_000): `: it is nested too deeply`,
	} {
		dec := jsontext.NewDecoder(strings.NewReader(in))
		var err error
		for err == nil {
			_, err = dec.ReadToken()
		}
		var se *jsontext.SyntacticError
		if !errors.As(err, &se) || errors.Is(err, io.EOF) {
			t.Errorf("%.20s: %v", in, err)
			continue
		}
		if got := Words(se); got != want {
			t.Errorf("%.20s: %q, want %q (%v)", in, got, want, se.Err)
		}
	}
	for _, err := range []error{nil, errors.New("of another version")} {
		if got := Words(&jsontext.SyntacticError{Err: err}); got != "" {
			t.Errorf("%v: %q", err, got)
		}
	}
}
