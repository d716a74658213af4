// Package evolve compares the schemas of two registries: Diff lists what has changed of
// each type, what of that breaks, and what must not be released without a higher version.
//
//	diff.go         the changes of a registry and of a type
//	compare.go      two schemas of one value, keyword by keyword
//	object.go       members of objects
//	pair.go         keywords that mean something together only
//	view.go         what several schemas ask of one value together
//	value.go        equality and excerpts of values
//
// It may import package schema, package tree and the standard library. What does not
// belong here: reading the schemas of a commit (the command line).
package evolve
