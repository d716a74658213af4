// Package exact reads JSON into Go values as package schema reads an event: names
// by case and once each, valid UTF-8 only, integers by value (1.0 and 1e2 are
// integers), and numbers of any size. What a schema accepts is neither refused nor
// changed.
//
// exact.go is the part that generated packages carry: gogen copies it, so that
// they do not depend on this module. compat.go is for types that people write for
// encoding/json (app/typed).
//
// It imports the standard library and github.com/go-json-experiment/json, which is
// encoding/json/v2 for Go before 1.27. What does not belong here: schemas.
package exact
