package envelope

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// tooDeep counts brackets outside strings. It runs before the decoder, which
// itself would go 10,000 levels down; on invalid JSON it may be wrong either way,
// and the decoder then says what is invalid.
func tooDeep(body []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// depthFault walks the body again, token by token, to find where it is too deep.
func depthFault(body []byte, batch bool, limit int) *Fault {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	for dec.StackDepth() <= limit {
		if _, err := dec.ReadToken(); err != nil {
			return syntaxFault(body, batch, err)
		}
	}
	index, path := place(dec.StackPointer(), batch)
	if batch {
		limit--
	}
	return &Fault{Index: index, Field: path, Reason: fmt.Sprintf("is nested more than %d levels deep; flatten the event", limit)}
}
