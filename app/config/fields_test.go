package config

import (
	"eventserver/app/config/strict"
	"reflect"
	"testing"
)

// A configuration of a thousand destinations asks a thousand times for the same tags.
func TestTagsAreReadOnce(t *testing.T) {
	typ := reflect.TypeFor[Destination]()
	if len(strict.FieldsOf(typ)) == 0 {
		t.Fatal("no keys")
	}
	if n := testing.AllocsPerRun(10, func() { strict.FieldsOf(typ) }); n != 0 {
		t.Errorf("%v allocations for what is known", n)
	}
}
