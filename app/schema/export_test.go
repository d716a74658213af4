package schema

// What the tests of package evolve, which imports this one, need of it.
var (
	One         = one
	FromJSON    = fromJSON
	AnySchema   = anySchema
	AnyValue    = anyValue
	Changed     = changed
	ViolationOf = violationOf
	Files       = files
)

// Parts of a file.
const (
	Head  = head
	Tail  = tail
	Other = other
)

// RegistryOf is a registry of schemas that were not read from files.
func RegistryOf(list ...*Schema) *Registry {
	r := &Registry{byType: map[string]*Schema{}, sorted: list}
	for _, s := range list {
		r.byType[s.Type] = s
	}
	return r
}
