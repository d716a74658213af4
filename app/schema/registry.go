package schema

import (
	"slices"
)

// Registry holds the types of events of one directory. It does not change and is
// safe for parallel use.
type Registry struct {
	byType map[string]*Schema
	sorted []*Schema
}

// Lookup returns the schema of a type, by its exact name.
func (r *Registry) Lookup(typ string) (*Schema, bool) {
	s, ok := r.byType[typ]
	return s, ok
}

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

	bundle *value
	origin map[string]Origin
	path   *place // to the key
	check  *validator
}

// Bundle returns the schema as one JSON document without spaces, for code
// generation: members in the order of the file, $schema first, and what it
// refers to in other files under $defs, so that every $ref begins with "#". The
// error is nil; it is there for schemas that come from elsewhere one day.
func (s *Schema) Bundle() ([]byte, error) { return s.bundle.appendJSON(nil), nil }

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
func (s *Schema) Validate(data []byte) error {
	if v := s.check.check(data); v != nil {
		v.Type, v.Version = s.Type, s.Version
		return v
	}
	return nil
}
