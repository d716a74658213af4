package quick

import (
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// BytesPerStep is how many bytes times instructions are a step: each takes at most
// 8 ns.
const BytesPerStep = 3

// pattern is a regular expression with what it costs: in RE2 at most its
// instructions for each byte of the text.
type pattern struct {
	re           jsonschema.Regexp
	instructions int
}

func newPattern(re jsonschema.Regexp) *pattern {
	if re == nil {
		return nil
	}
	return &pattern{re, Instructions(re.String())}
}

func (p *pattern) match(r *run, s string) bool {
	return r.spend(1+(len(s)+1)*p.instructions/BytesPerStep) && p.re.MatchString(s)
}

// Instructions is the size of a valid regular expression as a program.
func Instructions(text string) int {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(prog.Inst)
}
