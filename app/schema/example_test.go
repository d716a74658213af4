package schema_test

import (
	"errors"
	"fmt"

	"eventserver/app/schema"
)

func ExampleLoad() {
	reg, err := schema.Load("../../schemas")
	if err != nil {
		fmt.Println(err) // every fault, one a line
		return
	}
	signup, _ := reg.Lookup("user.signed_up")
	err = signup.Validate([]byte(`{"userId":"u-7","email":"ada","plan":"free","signedUpAt":"2026-01-31T12:00:00Z"}`))
	var v *schema.Violation
	if errors.As(err, &v) {
		fmt.Println(v.Pointer, v.Rule)
		fmt.Println(v)
	}
	// Output:
	// /email format
	// user.signed_up v1: /email: format: must be an email address such as ada@example.com but is "ada"
}
