// Package admin is the API of operators: its own HTTP server with tokens, roles,
// an audit line for each change, and an OpenAPI document made from the Go types
// of its operations (docs/openapi.json; `make generate` writes it).
//
// # Areas
//
// What can be seen and steered is cut into areas, each with a file of its own:
//
//	build.go    GET /v1/build     what runs
//	config.go   GET /v1/config    with what
//	destinations.go  GET /v1/destinations...  what they do; pause, resume, replay, reload
//	explain.go  GET /v1/events/{id}  where an event is
//	tail.go     GET /v1/tail      events as they pass; an answer that goes on (stream.go)
//
// An area is an interface of three methods or fewer that stands in its file and
// says what it needs, a nil-able field of Config that gives it, and a method of
// Server that registers its operations. To add one:
//
//  1. Write NAME.go: the interface, the types of its operations, and
//     func (s *Server) nameOperations(api huma.API) with a register for each,
//     made by reading or changing (operation.go).
//  2. Add the field to Config and the method to the list in areas.go.
//  3. Give the implementation in package app, and run `make generate`.
//
// Operations are registered whether the area is there or not, so that the
// document is the same for every server; one that is not there answers 501
// (absent). An error of an area answers 500 with its text, unless errors.go knows a
// status for it: that is the only place that maps errors to HTTP.
//
// Who asks is CallerOf(ctx). A read operation that shows a payload asks
// NeedWrite(ctx) first. What an operation changed is told by Note(ctx, attributes),
// which go into its audit line; a payload, a key of a user or a secret may not.
//
// The types of what operators ask belong to who answers: explain and poison have their
// own. The names of types in the document are those of the Go types, so each is there
// once (schemaName).
//
// Client is the other side, for the commands.
//
// The package may import the standard library, chi, huma and a YAML parser. It
// knows no broker, no pipeline and no configuration: package app gives it areas. Of the
// router it may import the types of explain and poison.
package admin
