package quick

import (
	"cmp"
	"eventserver/app/schema/tree"
	"slices"
	"strconv"
	"strings"
)

// problem is one thing wrong with a value.
type problem struct {
	rules   *rules // the schema that refuses it
	rule    string // the keyword
	path    []int  // to the value: the number of a member or item on each level
	name    string // of the member that is missing, or whose name is wrong
	because string // the member that needs the one that is missing
	nth     int    // which of those that the rule names
	counts  [2]int // of items or forms
}

// falseRule names the keyword whose schema is false: the last but one token where
// the last is a name or an index.
func falseRule(schemaURL string) string {
	_, ptr, _ := strings.Cut(schemaURL, "#")
	toks := strings.Split(ptr, "/")
	for _, t := range slices.Backward(toks[max(0, len(toks)-2):]) {
		if h := tree.Keywords[t]; h != 0 && h != tree.HoldsData {
			if t == "$defs" {
				break
			}
			return t
		}
	}
	return "schema"
}

// rank orders the rules that one value breaks: what it is comes first.
var rank = func() map[string]int {
	m := map[string]int{}
	for i, r := range []string{
		"schema", "type", "const", "enum", "required", "dependentRequired", "format", "pattern", "minLength", "maxLength",
		"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
	} {
		m[r] = i - 100
	}
	return m
}()

// compare orders problems as the event has them, where a value comes before those
// inside it, and those of one value by their rules.
func (p *problem) compare(q *problem) int {
	if c := slices.Compare(p.path, q.path); c != 0 { // mostly; the rest takes longer
		return c
	}
	return cmp.Or(rank[p.rule]-rank[q.rule], strings.Compare(p.rule, q.rule),
		strings.Compare(p.rules.location, q.rules.location), p.nth-q.nth, strings.Compare(p.name, q.name))
}

// follow is the value of doc at path, with the tokens of the pointer to it.
func follow(doc any, path []int) (v any, tokens []string) {
	for _, i := range path {
		switch c := doc.(type) {
		case *object:
			tokens = append(tokens, c.members[i].name)
			doc = c.members[i].value
		case *array:
			tokens = append(tokens, strconv.Itoa(i))
			doc = c.items[i]
		}
	}
	return doc, tokens
}

func (p *problem) pointer(doc any) string {
	_, tokens := follow(doc, p.path)
	return tree.PointerTo(tokens)
}
