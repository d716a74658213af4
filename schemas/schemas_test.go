package schemas_test

import (
	"testing"

	"eventserver/app/schema"
)

// Every type has events that its schema accepts and refuses, and does.
func TestEvents(t *testing.T) {
	reg, err := schema.Load(".")
	if err != nil {
		t.Fatal(err)
	}
	counts, err := reg.TestEvents(".")
	if err != nil {
		t.Error(err)
	}
	for typ, n := range counts {
		if n.Valid == 0 {
			t.Errorf("%s has no valid test event; write schemas/testdata/%s/valid-least.json", typ, typ)
		}
		if n.Invalid == 0 {
			t.Errorf("%s has no invalid test event; write one such as schemas/testdata/%s/invalid-required.json", typ, typ)
		}
	}
}
