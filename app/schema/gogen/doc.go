// Package gogen writes the Go types of the events that a schema.Registry has: one
// package in one file, which needs the standard library and
// github.com/go-json-experiment/json.
//
// Every schema that Load accepts has a Go type, and each of its events comes back
// equal after its type had it. Where Go's types cannot say what a schema does, the
// field is any: a value of several types, a tuple. The types hold what the schemas
// describe, several together too (form); what they only constrain (lengths,
// patterns, which members go together) is left to the schema, against which every
// event is held anyway. So a change of a constraint changes no Go code, but for
// integers: those with bounds within 64 bits are int64.
//
// A definition of a shared file is one type, whichever events use it. A type is
// named after its place in the schemas, or after the type that has it where several
// schemas describe it, so that a new schema renames no type of another.
//
// The file carries exact/exact.go: how the types are read.
//
// It imports schema, its tree and the standard library. What does not belong here:
// validation (schema) and what programs do with the types (app/typed).
package gogen
