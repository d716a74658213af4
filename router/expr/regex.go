package expr

import (
	"fmt"
	"regexp"

	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Go's regular expressions take time in proportion to text times instructions:
// measured, up to 7 ns for each product. A short pattern may be a long program:
// ((a?){30}){30} on 200 KB took 2.4 s.
const (
	// maxProgram bounds a pattern's instructions; a UUID takes about 40.
	maxProgram = 500
	// maxMatch bounds text bytes times instructions, about 15 ms.
	maxMatch = 2 << 20
)

// constantPatterns compiles the patterns written in an expression when it is
// loaded, with the same bound on each match as any other pattern has. One entry
// an overload, which goes before CEL's own for the function.
func constantPatterns() []*interpreter.RegexOptimization {
	var out []*interpreter.RegexOptimization
	for _, id := range []string{overloads.Matches, overloads.MatchesString} {
		out = append(out, &interpreter.RegexOptimization{
			Function: "matches", OverloadID: id, RegexIndex: 1, Factory: constantPattern,
		})
	}
	return out
}

func constantPattern(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	size, err := types.RegexProgramSize(pattern)
	if err != nil {
		return nil, err
	}
	run := func(args ...ref.Val) ref.Val {
		text, ok := args[0].(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[0])
		}
		if err := tooLong(len(text), size); err != nil {
			return err
		}
		return types.Bool(re.MatchString(string(text)))
	}
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), run), nil
}

// checkMatch is asked before a pattern that is only known now is run.
func checkMatch(text, pattern ref.Val) ref.Val {
	t, ok := text.(types.String)
	p, ok2 := pattern.(types.String)
	if !ok || !ok2 {
		return nil // CEL says what is wrong
	}
	size, err := types.RegexProgramSize(string(p))
	if err != nil {
		return types.WrapErr(err)
	}
	if size > maxProgram {
		return types.WrapErr(fmt.Errorf("%w: a regular expression of %d instructions, more than %d", ErrLimit, size, maxProgram))
	}
	return tooLong(len(t), size)
}

func tooLong(text, size int) ref.Val {
	if text <= maxMatch/max(size, 1) {
		return nil
	}
	return types.WrapErr(fmt.Errorf("%w: matching %d bytes with a regular expression of %d instructions; match less text", ErrLimit, text, size))
}
