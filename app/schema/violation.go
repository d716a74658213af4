package schema

import (
	"eventserver/app/schema/quick"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Rules of a Violation that are no keywords of JSON Schema.
const (
	RuleJSON = quick.RuleJSON // invalid JSON, repeated names, invalid UTF-8, too deep, too many values or digits
	RuleCost = quick.RuleCost // the check takes more steps than it may
	RuleKey  = quick.RuleKey  // the ordering key is absent or cannot be one
)

// Violation says what is wrong with an event, where, and what is allowed. It is
// the error of Validate and Key.
type Violation struct {
	Type    string // of the schema
	Version int    // of the schema; 0 with RuleUnknown
	Pointer string // JSON pointer (RFC 6901) to the value at fault; "" for the event itself; at most 512 bytes, else to a value around it
	Rule    string // the keyword, e.g. "required", or a Rule constant
	Detail  string // one short sentence of at most 300 bytes; repeats at most a short excerpt of the event
	Others  int    // how many more faults the event has; 0 with the rules that are no keywords
}

// Error is one line such as "order.placed v1: /lines/0/price: minimum: must be >=
// 0 but is -3". A pointer with control characters is quoted.
func (v *Violation) Error() string { return v.text(true) }

func (v *Violation) text(detailed bool) string {
	var b strings.Builder
	switch {
	case v.Version > 0:
		fmt.Fprintf(&b, "%s v%d: ", v.Type, v.Version)
	case v.Type != "": // no schema has it
		b.WriteString(printable(v.Type) + ": ")
	}
	if v.Pointer != "" {
		b.WriteString(printable(v.Pointer) + ": ")
	}
	b.WriteString(v.Rule)
	if detailed {
		b.WriteString(": " + v.Detail)
	}
	if v.Others > 0 {
		fmt.Fprintf(&b, " (and %d more)", v.Others)
	}
	return b.String()
}

// Place is Error without what the event holds there, for logs and headers.
func (v *Violation) Place() string {
	if v.Rule == RuleCost { // nothing of the event
		return v.Error()
	}
	return (&Violation{Type: v.Type, Version: v.Version, Pointer: v.Pointer, Rule: v.Rule}).text(false)
}

// LogText is Place; the router asks for it.
func (v *Violation) LogText() string { return v.Place() }

// printable keeps what a client calls its members from breaking a line of a log.
func printable(ptr string) string {
	for _, r := range ptr {
		if !unicode.IsPrint(r) {
			return strconv.Quote(ptr)
		}
	}
	return ptr
}
