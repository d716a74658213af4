package expr

import (
	"errors"
	"strings"
	"testing"

	"eventserver/destinations"
)

// A fault of an expression is said in our words, once, with what to write; the
// parser's list of tokens and its names of operators are not shown.
func TestFaultsInWords(t *testing.T) {
	for src, want := range map[string]string{
		`event.data.x >`:                "1:15: the expression ends too early",
		`event.data.x = 1`:              "1:14: a single = compares nothing; write ==",
		`event.type === 'a'`:            "1:14: a single =",
		`event.type == 'a`:              "1:15: a text in quotes has no end",
		`event.type == "a" and true`:    `1:19: "and" cannot stand here; write &&`,
		`event.type == "a" or true`:     `write ||`,
		`event.type == "a" & true`:      "a single & or |",
		`(event.type == 'a'`:            "is a ) missing?",
		`event.type == 'a')`:            "the expression is complete before it",
		`event.`:                        `1:7: something is missing behind "."`,
		`&& true`:                       "1:1: \"&&\" cannot stand here; a value is missing",
		`{'a': }`:                       "a value is missing before it",
		`[1,2`:                          "is a ] missing?",
		`event.data.x ? 1`:              "is a : missing?",
		`'\q'`:                          "no escape",
		"\x01":                          "means nothing outside a text",
		`event.data.$x`:                 `1:12: "$" means nothing`,
		`99999999999999999999 == 1`:     "does not fit into 64 bits",
		`if x then y`:                   `"if" is a word that CEL keeps`,
		`has(event)`:                    "has(event.data.total)",
		`event.type + 1 == 2`:           "1:12: + does not take (string, int); convert",
		`event.type[1.5] == 'a'`:        "[] does not take",
		`size() == 1`:                   "size() does not take ()",
		`event.type in 'a'`:             "in does not take",
		`event.type contains 'a'`:       "write .contains('...')",
		`event.type == 'a' is not true`: "write ==",
	} {
		_, err := CompileFilter(src, 0)
		if err == nil {
			t.Errorf("%s compiles", src)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, want) || strings.Contains(text, "\n") {
			t.Errorf("%s: %q, want one line with %q", src, text, want)
		}
		for _, raw := range []string{"Syntax error", "<EOF>", "expecting", "NUM_INT", "token recognition", "overload", "'_"} {
			if strings.Contains(text, raw) {
				t.Errorf("%s: %q shows the parser's %q", src, text, raw)
			}
		}
	}
}

// So is a conversion that fails on an event, whatever its type.
func TestConversionsInWords(t *testing.T) {
	e := destinations.Event{Data: []byte(`{"s":"zz","n":1,"l":[1]}`)}
	for src, want := range map[string]string{
		`int(event.data.s)`:      "1:4: this string cannot be read as int; ",
		`double(event.data.s)`:   "this string cannot be read as double; ",
		`duration(event.data.s)`: `this string cannot be read as duration such as "90s"`,
		`bool(event.data.s)`:     "this string cannot be read as bool; ",
	} {
		tr, err := CompileTransform(src, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tr.Apply(t.Context(), e)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "protobuf") {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
	cause := errors.New("cause")
	if !errors.Is(reworded{"text", cause}, cause) {
		t.Error("the cause is gone")
	}
}
