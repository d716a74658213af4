package jsonfault

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// known are what the decoder says behind the character that it meets, and what is
// expected there. It has no other form of these; a text that is not here is said
// as a plain "not valid JSON".
var known = []struct{ where, want string }{
	{" at start of value", "a value"},
	{" at start of string (expecting '\"')", "a name in double quotes"},
	{" after object name (expecting ':')", "a colon after the name"},
	{" after object value (expecting ',' or '}')", "a comma or }"},
	{" after array element (expecting ',' or ']')", "a comma or ]"},
	{" in number (expecting digit)", "a digit"},
	{" after top-level value", "nothing more"},
}

// Words is what is wrong at the place of the error, behind "not valid JSON" and
// that place: ": a value is expected, not 'x'". It is "" where no more is known.
func Words(se *jsontext.SyntacticError) string {
	if errors.Is(se.Err, jsontext.ErrNonStringName) {
		return ": a name in double quotes is expected"
	}
	if se.Err == nil {
		return ""
	}
	text := se.Err.Error()
	if met, ok := strings.CutPrefix(text, "invalid character "); ok {
		for _, k := range known {
			if met, ok := strings.CutSuffix(met, k.where); ok {
				return ": " + k.want + " is expected, not " + met
			}
		}
		switch {
		case strings.Contains(met, " in string "):
			return ": a control character stands in a string; escape it, a line break as \\n"
		case strings.Contains(met, " in literal "):
			return ": true, false or null is misspelt"
		}
	}
	switch {
	case strings.HasPrefix(text, "invalid surrogate pair "):
		return ": a string has half of a surrogate pair (\\ud800 to \\udfff); write both halves, or the character"
	case strings.HasPrefix(text, "invalid escape sequence "):
		return ": a string has a backslash that begins no escape of JSON; write \\\\ for a backslash"
	case text == "missing value after object name":
		return ": a value is expected after the name"
	case text == "exceeded max depth":
		return ": it is nested too deeply"
	case text == "invalid UTF-8":
		return ": it is not UTF-8"
	}
	return ""
}
