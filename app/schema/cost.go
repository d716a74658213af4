package schema

import (
	"eventserver/app/schema/quick"
	"eventserver/app/schema/tree"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
)

// What a schema may cost, as far as a file tells it without an event.
const (
	maxInstructions  = 10_000 // of a regular expression: a text of 1.2 KB then takes all of DefaultMaxCost
	manyInstructions = 1000
	maxChain         = 500  // schemas that lead to each other for one value; see maxNesting
	manyTracked      = 1000 // judgements of one value where results cannot be kept
)

// inPlace is what a schema asks of one value.
type inPlace struct {
	finished bool // false: the search is inside it
	chain    int  // schemas that lead to each other, at most
	times    int  // judgements, each way to a schema counted
}

const endless = "leads back to itself; refer from a property or an item instead, or delete it"

// inPlace follows the keywords that stay at the value. It finds a $ref that leads
// back to where it stands without going into the value: no event could be
// validated.
func (c *checker) inPlace(f *file, ptr string) *inPlace {
	at := target{f.name, ptr}
	p := c.state[at]
	switch {
	case p == nil:
	case p.finished:
		return p
	default: // entered here by a $ref, and back from a schema around it
		f.fault(c.rep, ptr, endless)
		return p
	}
	p = &inPlace{}
	c.state[at] = p
	add := func(sub *inPlace) {
		p.chain = max(p.chain, sub.chain)
		p.times = min(p.times+sub.times, 1<<40)
	}
	s := f.schemas[ptr]
	tree.Subschemas(s, ptr, func(_ *tree.Value, sub, keyword string) {
		if slices.Contains(tree.Anyhow, keyword) {
			add(c.inPlace(f, sub))
		}
	})
	if ref := s.Get("$ref").Str(); ref != "" {
		t, _ := c.refs.resolve(f, ref)
		switch seen := c.state[t]; {
		case t.file == "":
		case seen != nil && !seen.finished:
			f.fault(c.rep, ptr+"/$ref", tree.Quote(ref)+" "+endless)
		default:
			add(c.inPlace(c.refs.files[t.file], t.ptr))
		}
	}
	p.finished = true
	p.chain++
	p.times++
	return p
}

// cost tells of a schema that asks very much of one value.
func (c *checker) cost(f *file, s *tree.Value, ptr string, p *inPlace) {
	if p.chain == maxChain+1 { // those that lead here have more, for the same cause
		f.fault(c.rep, ptr, fmt.Sprintf("leads through more than %d schemas for one value; flatten it", maxChain))
	}
	for _, keyword := range []string{"unevaluatedProperties", "unevaluatedItems"} {
		if s.Get(keyword) != nil && p.times > manyTracked {
			c.rep.warn(f.name, f.root.LineAt(ptr+"/"+keyword), ptr+"/"+keyword,
				fmt.Sprintf("takes %d judgements of one value, because each way to a schema counts here, by $ref too; an event may be refused by the rule %s, so lead to each schema once", p.times, RuleCost))
		}
	}
}

// pattern looks at a regular expression, which takes its instructions for each
// byte of a text.
func (c *checker) pattern(f *file, at, text string) {
	if _, err := regexp.Compile(text); err != nil {
		reason := err.Error()
		if se, ok := err.(*syntax.Error); ok { //nolint:errorlint // regexp.Compile returns it as it is
			reason = string(se.Code) + " " + tree.Quote(se.Expr)
		}
		f.fault(c.rep, at, fmt.Sprintf("%s is no regular expression of Go (RE2): %s; it has no (?=, (?! or backreferences", tree.Quote(text), reason))
		return
	}
	switch n := quick.Instructions(text); {
	case n > maxInstructions:
		f.fault(c.rep, at, fmt.Sprintf("%s is a regular expression of %d instructions, at most %d are allowed; write smaller repeats, or maxLength instead", tree.Quote(text), n, maxInstructions))
	case n > manyInstructions:
		c.rep.warn(f.name, f.root.LineAt(at), at, fmt.Sprintf(
			"%s is a regular expression of %d instructions, so a text of more than %d bytes is refused by the rule %s with the default of schemas.max_cost; write smaller repeats, or maxLength instead",
			tree.Quote(text), n, DefaultMaxCost*quick.BytesPerStep/n, RuleCost))
	}
}
