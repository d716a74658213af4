// Package schemas holds no code: its YAML files are the types of events
// (docs/schemas.md), testdata has events that its test tries them with, and
// package events, which make generate writes, has their Go types.
package schemas
