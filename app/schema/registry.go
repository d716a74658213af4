package schema

import (
	"context"
	"eventserver/app/schema/quick"
	"eventserver/app/schema/tree"
	"slices"
)

// Registry holds the types of events of one directory. It does not change and is
// safe for parallel use.
type Registry struct {
	byType map[string]*Schema
	sorted []*Schema

	warnings []*Fault
}

// Lookup returns the schema of a type, by its exact name.
func (r *Registry) Lookup(typ string) (*Schema, bool) {
	s, ok := r.byType[typ]
	return s, ok
}

// Warnings are of schemas that work, and may refuse an event because its check
// costs too much.
func (r *Registry) Warnings() []*Fault { return slices.Clone(r.warnings) }

// Schemas returns all schemas, sorted by type.
func (r *Registry) Schemas() []*Schema { return slices.Clone(r.sorted) }

// Schema is one type of events. Its fields are not to be changed; it is safe for
// parallel use.
type Schema struct {
	Type        string
	Version     int      // 1 or more
	KeyPointer  string   // JSON pointer to the ordering key in the event; "": the schema names none
	Description string   // one or more lines
	Examples    [][]byte // at least one event, as JSON without spaces, members in the order of the file
	File        string   // as given to Load, joined with the path below it

	bundle *tree.Value
	origin map[string]Origin
	path   []string // to the key
	check  *quick.Validator
	drop   map[string]bool
}

// Bundle returns the schema as one JSON document without spaces, for code
// generation: members in the order of the file, $schema first, and what it
// refers to in other files under $defs, so that every $ref begins with "#". The
// error is nil; it is there for schemas that come from elsewhere one day.
func (s *Schema) Bundle() ([]byte, error) { return s.bundle.AppendJSON(nil), nil }

// Tree is Bundle as a tree, which is not to be changed.
func (s *Schema) Tree() *tree.Value { return s.bundle }

// Unnamed are the members of the envelope that are not validated, because the schema
// does not name them.
func (s *Schema) Unnamed() map[string]bool { return s.drop }

// Origin is where a definition of a bundle was written.
type Origin struct {
	File    string // as Schema.File
	Pointer string // JSON pointer into the file; "" for the file as a whole
}

// Origin tells where $defs/name of the bundle comes from; false when it is of the
// schema's own file. The same origin is the same definition in every bundle,
// whatever it is called there.
func (s *Schema) Origin(name string) (Origin, bool) {
	o, ok := s.origin[name]
	return o, ok
}

// Validate checks an event as it was posted. The error is a *Violation: the first
// fault in the order of the event, where a value comes before those inside it,
// always the same for the same event. data is not kept and not changed.
//
// Beside the schema it refuses what two readers could read differently or what
// would cost too much: repeated names at any level, invalid UTF-8, more than 64
// levels, 20,000 values, or numbers of more than 1000 digits or an exponent
// beyond 1000. Numbers are compared exactly; 1.0 is an integer.
//
// What would cost more than DefaultMaxCost is refused by RuleCost. A Policy has a
// limit of its own.
func (s *Schema) Validate(data []byte) error {
	v, _ := s.validate(context.Background(), data, DefaultMaxCost, nil) // that context does not end
	if v != nil {
		return v
	}
	return nil
}

// validate costs at most maxCost steps. The error is that of ctx, when it ends
// before there is an answer.
func (s *Schema) validate(ctx context.Context, data []byte, maxCost int64, spent *Spent) (*Violation, error) {
	bad, err := s.check.Check(ctx, data, maxCost, spent)
	if err != nil || bad == nil {
		return nil, err
	}
	return s.violation(bad), nil
}

func (s *Schema) violation(of *quick.Refusal) *Violation {
	return &Violation{Type: s.Type, Version: s.Version, Pointer: of.Pointer, Rule: of.Rule, Detail: of.Detail, Others: of.Others}
}

// Key returns the ordering key: the value at KeyPointer. A string is taken as it
// is, an integer as its decimal text (1.0 and 1 are one key). The bool is false
// when the schema has no KeyPointer.
//
// The error is a *Violation with RuleKey when the value is absent, of another
// type, empty, longer than 512 bytes or holds control characters, and with
// RuleJSON when data cannot be read up to there. Call Validate first: Key does
// not check the rest.
func (s *Schema) Key(data []byte) (string, bool, error) {
	if s.KeyPointer == "" {
		return "", false, nil
	}
	key, bad := quick.KeyAt(data, s.KeyPointer, s.path)
	if bad != nil {
		return "", true, s.violation(bad)
	}
	return key, true, nil
}
