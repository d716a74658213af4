package gogen

import (
	"fmt"

	"eventserver/app/schema/tree"
)

// lookup follows the tokens of a pointer. Load has seen that every $ref leads to a
// value.
func lookup(v *tree.Value, toks []string) (*tree.Value, error) {
	found := v.At(tree.PointerTo(toks))
	if found == nil {
		return nil, fmt.Errorf("there is nothing at %s", tree.PointerTo(toks))
	}
	return found, nil
}

// tokens are those of a pointer that Load has read.
func tokens(ptr string) []string {
	toks, _ := tree.Tokens(ptr)
	return toks
}
