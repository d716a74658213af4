// Package quick validates events against compiled schemas, and bounds what that costs: it
// counts steps (run.go), and what would take more than it may is refused.
//
// The JSON Schema library compiles (compile.go) and judges nothing, because it has no
// bound. evaluate.go judges, explain.go finds the faults, describe.go writes their texts.
// decode.go reads an event into what is judged (node.go); key.go reads its ordering key.
//
// It may import the standard library, package tree, app/jsonfault, jsontext and the JSON
// Schema library. What does not belong here: files, types of events and their versions,
// and modes (schema).
package quick
