package quick

import (
	"errors"
	"eventserver/app/schema/tree"
	"math/big"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Compile makes a validator of the schema doc at uri. loader gives the documents
// it refers to.
func Compile(uri string, doc any, loader jsonschema.URLLoader) (*Validator, error) {
	c := NewCompiler(loader)
	if err := c.AddResource(uri, doc); err != nil {
		return nil, err
	}
	lib, err := c.Compile(uri)
	if err != nil {
		return nil, err
	}
	return newValidator(lib)
}

// NewCompiler is the library, which resolves the references. It judges no event:
// it has no bound on what one costs.
func NewCompiler(loader jsonschema.URLLoader) *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for name, f := range ownFormats {
		c.RegisterFormat(f.library(name))
	}
	c.UseLoader(loader)
	return c
}

// Nothing is the loader of schemas that are complete.
type Nothing struct{}

// Load implements the loader of the library.
func (Nothing) Load(string) (any, error) {
	return nil, errors.New("not in the directory of the schemas")
}

// newValidator copies what the library has compiled. others are schemas that only
// a $dynamicRef leads to.
func newValidator(lib *jsonschema.Schema, others ...*jsonschema.Schema) (*Validator, error) {
	b := &builder{done: map[*jsonschema.Schema]*rules{}, names: map[string]string{}}
	root := b.rules(lib)
	b.list(others)
	if b.err != nil {
		return nil, b.err
	}
	v := &Validator{root: root, dynamic: b.dynamic, names: b.names}
	if b.dynamic {
		b.resources()
	}
	return v, nil
}

// Metaschema is the validator of schemas themselves.
func Metaschema() *Validator {
	v, err := newValidator(jsonschema.NewCompiler().MustCompile(tree.Draft)) // a part of the library
	if err != nil {
		panic(err)
	}
	return v
}

type builder struct {
	done    map[*jsonschema.Schema]*rules
	names   map[string]string
	dynamic bool
	err     error
}

func (b *builder) rules(s *jsonschema.Schema) *rules {
	if s == nil {
		return nil
	}
	if r := b.done[s]; r != nil {
		r.shared = true
		return r
	}
	r := &rules{location: s.Location}
	b.done[s] = r
	if s.Bool != nil {
		r.always, r.never = *s.Bool, !*s.Bool
		return r
	}
	if s.DraftVersion != 2020 {
		b.err = errors.New(s.Location + " is of another draft than 2020-12")
		return r
	}
	if s.Types != nil {
		for _, name := range s.Types.ToStrings() {
			r.types |= tree.TypeBits[name]
		}
	}
	if s.Enum != nil {
		r.allowed = newEnum(s.Enum.Values)
	}
	if s.Const != nil {
		c := constant(*s.Const)
		r.constant = &c
	}
	r.format, r.ref = newFormat(s.Format), b.rules(s.Ref)
	if d := s.DynamicRef; d != nil {
		b.dynamic = true
		r.dynamic = &dynamicRef{target: b.rules(d.Ref)}
		if d.Ref.DynamicAnchor == d.Anchor {
			r.dynamic.anchor = d.Anchor
		}
	}
	r.not, r.when, r.then, r.otherwise = b.rules(s.Not), b.rules(s.If), b.rules(s.Then), b.rules(s.Else)
	r.all, r.any, r.one = b.list(s.AllOf), b.list(s.AnyOf), b.list(s.OneOf)
	r.combines = r.ref != nil || r.not != nil || r.when != nil || r.all != nil || r.any != nil || r.one != nil
	b.scalars(s, r)
	b.objects(s, r)
	b.arrays(s, r)
	return r
}

func (b *builder) scalars(s *jsonschema.Schema, r *rules) {
	r.min, r.max = newLimit(s.Minimum), newLimit(s.Maximum)
	r.above, r.below = newLimit(s.ExclusiveMinimum), newLimit(s.ExclusiveMaximum)
	r.multiple = newLimit(s.MultipleOf)
	r.minLength, r.maxLength, r.pattern = s.MinLength, s.MaxLength, newPattern(s.Pattern)
}

func (b *builder) arrays(s *jsonschema.Schema, r *rules) {
	r.minItems, r.maxItems, r.unique = s.MinItems, s.MaxItems, s.UniqueItems
	r.prefix, r.items, r.unevaluatedItems = b.list(s.PrefixItems), b.rules(s.Items2020), b.rules(s.UnevaluatedItems)
	r.contains, r.minContains, r.maxContains = b.rules(s.Contains), s.MinContains, s.MaxContains
}

func (b *builder) objects(s *jsonschema.Schema, r *rules) {
	r.minProperties, r.maxProperties, r.required = s.MinProperties, s.MaxProperties, s.Required
	r.names, r.unevaluatedProperties = b.rules(s.PropertyNames), b.rules(s.UnevaluatedProperties)
	r.properties = make(map[string]*rules, len(s.Properties))
	for _, name := range tree.SortedKeys(s.Properties) {
		b.names[name] = name
		r.properties[name] = b.rules(s.Properties[name])
	}
	byText := map[string]jsonschema.Regexp{}
	for re := range s.PatternProperties {
		byText[re.String()] = re
	}
	for _, text := range tree.SortedKeys(byText) {
		re := byText[text]
		r.patterns = append(r.patterns, patternRules{newPattern(re), b.rules(s.PatternProperties[re])})
	}
	for _, name := range tree.SortedKeys(s.DependentRequired) {
		r.dependentRequired = append(r.dependentRequired, dependent{name, s.DependentRequired[name]})
	}
	for _, name := range tree.SortedKeys(s.DependentSchemas) {
		r.dependentSchemas = append(r.dependentSchemas, dependentRules{name, b.rules(s.DependentSchemas[name])})
	}
	switch open := s.AdditionalProperties.(type) {
	case bool:
		r.closed = !open
		if r.declared = tree.SortedKeys(r.properties); open {
			r.additional = &rules{always: true}
		}
	case *jsonschema.Schema:
		r.additional = b.rules(open)
	}
}

func (b *builder) list(list []*jsonschema.Schema) []*rules {
	var out []*rules
	for _, s := range list {
		out = append(out, b.rules(s))
	}
	return out
}

func newLimit(r *big.Rat) *limit {
	if r == nil {
		return nil
	}
	l := &limit{text: tree.RatText(r)}
	l.value = tree.ParseExact(l.text)
	if n, ok := l.value.Small(); ok {
		l.small = &n
	}
	return l
}
