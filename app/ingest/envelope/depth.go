package envelope

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

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
