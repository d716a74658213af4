// Package gogen writes the Go types of the events that a schema.Registry has: one
// package in one file, which needs the standard library alone.
//
// Every schema that Load accepts has a Go type. Where Go's types cannot say what a
// schema does, the field is any: a value of several types, a tuple. The types hold
// what the schema declares; what it only constrains (lengths, patterns, which
// members go together) is left to the schema, against which every event is held
// anyway. So a change of a constraint changes no Go code.
//
// A definition of a shared file is one type, whichever events use it. A type is
// named after its place in the schemas, so that a new schema renames no type of
// another.
//
// It imports schema, jsontext and the standard library. What does not belong here:
// validation (schema) and what programs do with the types (app/typed).
package gogen
