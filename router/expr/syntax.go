package expr

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	unread     = regexp.MustCompile(`^Syntax error: token recognition error at: '(?s:(.*))'$`)
	unexpected = regexp.MustCompile(`^Syntax error: (?:mismatched|extraneous) input '(?s:(.*))' expecting (?s:(.*))$`)
	nowhere    = regexp.MustCompile(`^Syntax error: no viable alternative at input '(?s:(.*))'$`)
	absent     = regexp.MustCompile(`^Syntax error: missing '(.+)' at '(?s:(.*))'$`)
	overload   = regexp.MustCompile(`^found no matching overload for '(.+)' applied to '(.*)'$`)
	convert    = regexp.MustCompile(`^type conversion error from '(.+)' to '(?:google\.protobuf\.)?(.+)'$`)
)

// inWords is CEL's and its parser's message in words, with what to write instead.
// syntax says that the rest of the text was not understood either.
func inWords(msg string) (words string, syntax bool) {
	if m := unread.FindStringSubmatch(msg); m != nil {
		return badToken(m[1]), true
	}
	if m := unexpected.FindStringSubmatch(msg); m != nil {
		return badPlace(m[1], m[2]), true
	}
	if m := nowhere.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("something is missing behind %q", m[1]), true
	}
	if m := absent.FindStringSubmatch(msg); m != nil {
		return badPlace(m[2], "'"+m[1]+"'"), true
	}
	if m := overload.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("%s does not take %s; convert with string(...), int(...) or double(...), or give other arguments", operator(m[1]), m[2]), false
	}
	switch {
	case strings.HasPrefix(msg, "Syntax error: "):
		return strings.TrimPrefix(msg, "Syntax error: "), true
	case strings.HasPrefix(msg, "reserved identifier: "):
		return fmt.Sprintf("%q is a word that CEL keeps for itself; is it meant as a text, without quotes? A choice is written condition ? a : b", strings.TrimPrefix(msg, "reserved identifier: ")), true
	case strings.HasPrefix(msg, "undefined field "):
		return msg + "; event has " + strings.Join(fieldNames, ", "), false
	case strings.HasPrefix(msg, "undeclared reference to "):
		return msg + "; is it misspelt, or text without quotes? The one variable is event", false
	case strings.HasPrefix(msg, "invalid argument to has() macro"):
		return "has() asks for a member of something; write such as has(event.data.total)", false
	case strings.HasSuffix(msg, "int literal"):
		return "the number does not fit into 64 bits; write a smaller one, or one with a decimal point", false
	}
	return msg, false
}

// badToken is what the parser cannot read as a word, a number or a text.
func badToken(token string) string {
	switch {
	case strings.HasPrefix(token, "'"), strings.HasPrefix(token, `"`):
		return "a text in quotes has no end, or has a backslash that begins no escape; close it, and write \\\\ for a backslash"
	case strings.HasPrefix(token, "="):
		return "a single = compares nothing; write =="
	case strings.HasPrefix(token, "&"), strings.HasPrefix(token, "|"):
		return "a single & or | joins nothing; write && or ||"
	}
	return fmt.Sprintf("%q means nothing outside a text in quotes", token)
}

// badPlace is a word where none may be, or not this one. expected is the
// parser's list of what may.
func badPlace(word, expected string) string {
	const end = "<EOF>"
	closing := ""
	for _, c := range []string{")", "]", "}", ":"} {
		if strings.Contains(expected, "'"+c+"'") {
			closing = "; is a " + c + " missing?"
		}
	}
	if word == end {
		if closing == "" {
			closing = "; write what follows, such as a value behind an operator"
		}
		return "the expression ends too early" + closing
	}
	instead := map[string]string{"and": "&&", "AND": "&&", "or": "||", "OR": "||", "not": "!", "contains": ".contains('...')", "is": "==", "matches": ".matches('...')"}[word]
	switch {
	case instead != "":
		closing = "; write " + instead
	case expected == end:
		closing = "; the expression is complete before it, so delete it, or join two parts with && or ||"
	case closing == "":
		closing = "; a value is missing before it"
	}
	return fmt.Sprintf("%q cannot stand here%s", word, closing)
}

// operator is the name of a function as it is written: + for _+_.
func operator(name string) string {
	if strings.Contains(name, "_") && strings.ContainsAny(name, "+-*/%<>=!&|?[") || strings.HasPrefix(name, "@") {
		return strings.Trim(strings.NewReplacer("_", "", "@", "").Replace(name), " ")
	}
	return name + "()"
}

// converted is the message of a conversion that failed on an event, in words.
func converted(msg string) (string, bool) {
	m := convert.FindStringSubmatch(msg)
	if m == nil {
		return "", false
	}
	from, to := m[1], strings.ToLower(m[2])
	example := map[string]string{"duration": ` such as "90s" or "1h30m"`, "timestamp": ` such as "2026-11-25T10:00:00Z"`}[to]
	return fmt.Sprintf("this %s cannot be read as %s%s; leave it as it is, or ask first, such as with matches()", from, to, example), true
}

// reworded is an error with another text.
type reworded struct {
	text string
	error
}

func (r reworded) Error() string { return r.text }
func (r reworded) Unwrap() error { return r.error }
