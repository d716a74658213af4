package schema

import (
	"errors"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// compile makes a validator of the schema doc at uri. loader gives the documents
// it refers to.
func compile(uri string, doc any, loader jsonschema.URLLoader) (*validator, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for _, f := range ownFormats {
		c.RegisterFormat(f)
	}
	c.UseLoader(loader)
	if err := c.AddResource(uri, doc); err != nil {
		return nil, err
	}
	lib, err := c.Compile(uri)
	if err != nil {
		return nil, err
	}
	v := &validator{lib: lib, names: map[string]string{}, declared: map[string][]string{}, explain: make(chan struct{}, 1)}
	v.quick = newQuick(lib)
	each(lib, map[*jsonschema.Schema]bool{}, func(s *jsonschema.Schema) {
		for name := range s.Properties {
			v.names[name] = name
		}
		if s.AdditionalProperties != nil {
			v.declared[s.Location] = sortedKeys(s.Properties)
		}
		if s.PropertyNames != nil {
			s.Extensions = append(s.Extensions, &namesOf{s.PropertyNames})
			s.PropertyNames = nil
		}
	})
	return v, nil
}

// nothing is the loader of schemas that are complete.
type nothing struct{}

func (nothing) Load(string) (any, error) {
	return nil, errors.New("not in the directory of the schemas")
}

// namesOf is propertyNames. The library's own keeps the slice of the location
// itself, which later siblings overwrite: the error then names another member.
type namesOf struct{ schema *jsonschema.Schema }

func (n *namesOf) Validate(ctx *jsonschema.ValidatorContext, v any) {
	obj, ok := v.(map[string]any)
	if !ok {
		return
	}
	for name := range obj {
		var verr *jsonschema.ValidationError
		if errors.As(n.schema.Validate(name), &verr) {
			verr.InstanceLocation = slices.Clone(ctx.ValueLocation())
			verr.SchemaURL = n.schema.Location
			verr.ErrorKind = &kind.PropertyNames{Property: name}
			ctx.AddErr(verr)
		}
	}
}

// each visits every schema that s can lead to, once.
func each(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool, visit func(*jsonschema.Schema)) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	one := func(list ...*jsonschema.Schema) {
		for _, sub := range list {
			each(sub, seen, visit)
		}
	}
	one(s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
		s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema)
	if s.DynamicRef != nil {
		one(s.DynamicRef.Ref)
	}
	one(s.AllOf...)
	one(s.AnyOf...)
	one(s.OneOf...)
	one(s.PrefixItems...)
	for _, m := range []map[string]*jsonschema.Schema{s.Properties, s.DependentSchemas} {
		for _, name := range sortedKeys(m) {
			one(m[name])
		}
	}
	for _, sub := range s.PatternProperties {
		one(sub)
	}
	for _, open := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		switch open := open.(type) {
		case *jsonschema.Schema:
			one(open)
		case []*jsonschema.Schema:
			one(open...)
		}
	}
	for _, dep := range s.Dependencies {
		if sub, ok := dep.(*jsonschema.Schema); ok {
			one(sub)
		}
	}
	visit(s)
}
