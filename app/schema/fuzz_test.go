package schema

import (
	"errors"
	"testing"
)

// FuzzValidate: no event panics; a fault is well formed and always the same; the
// key of a good event can be read.
func FuzzValidate(f *testing.F) {
	reg := example(f)
	for _, s := range reg.Schemas() {
		for _, e := range s.Examples {
			f.Add(e)
		}
	}
	for _, s := range []string{orderEvent, signupEvent, ``, `{`, `null`, "{\"a\":\"\xff\"}", `{"a":1,"a":1}`, `{"labels":{"A":1e999}}`, `{"lines":[{"price":{}},7]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range reg.Schemas() {
			err := s.Validate(data)
			if err == nil {
				if _, ok, err := s.Key(data); !ok || err != nil {
					t.Error("key of a good event:", ok, err)
				}
				continue
			}
			var v *Violation
			if !errors.As(err, &v) {
				t.Fatal(err)
			}
			wellFormed(t, v)
			if again := s.Validate(data); again == nil || again.Error() != err.Error() {
				t.Errorf("first %v, then %v", err, again)
			}
			_, _, _ = s.Key(data)
		}
	})
}
