// Package jsonfault says in our words why a text is not JSON, for what is ingested,
// sent by command or written in schemas. Where in the text, and what to do where it
// ends early or repeats a name, is the caller's.
//
// It may import the standard library and jsontext only.
package jsonfault
