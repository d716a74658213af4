package expr

import (
	"errors"
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"eventserver/destinations"
)

const variable = "event"

// typeName cannot be written in CEL, so that no expression can make an event.
const typeName = "@event"

var (
	eventType  = types.NewObjectType(typeName, traits.FieldTesterType, traits.IndexerType)
	fieldNames = []string{"id", "type", "source", "key", "time", "received_at", "data", "body"}
	fieldTypes = map[string]*types.Type{
		"id": cel.StringType, "type": cel.StringType, "source": cel.StringType, "key": cel.StringType,
		"time": cel.TimestampType, "received_at": cel.TimestampType,
		"data": cel.DynType, "body": cel.DynType,
	}
)

// view is the variable event of one run: the event, and its body once an
// expression asks for it. One goroutine uses it.
type view struct {
	meter
	event   *destinations.Event
	body    ref.Val
	err     error
	decoded bool
}

// meterName cannot be written in CEL: it gives a call the meter of its run.
const meterName = "@meter"

// ResolveName and Parent make view the activation of a run.
func (v *view) ResolveName(name string) (any, bool) {
	switch name {
	case variable:
		return v, true
	case meterName:
		return &v.meter, true
	}
	return nil, false
}

// Parent implements interpreter.Activation: there is no outer scope.
func (v *view) Parent() interpreter.Activation { return nil }

var errNoField = errors.New("no such field")

// field gives one field as CEL or the registry understands it.
func (v *view) field(name string) (ref.Val, error) {
	switch name {
	case "id":
		return types.String(v.event.ID), nil
	case "type":
		return types.String(v.event.Type), nil
	case "source":
		return types.String(v.event.Source), nil
	case "key":
		return types.String(v.event.Key), nil
	case "time":
		return types.Timestamp{Time: v.event.Time.UTC()}, nil
	case "received_at":
		return types.Timestamp{Time: v.event.ReceivedAt.UTC()}, nil
	case "body":
		return v.read()
	case "data":
		body, err := v.read()
		if o, ok := body.(*object); ok {
			if i := o.lookup("data"); i >= 0 {
				return o.at(i), nil
			}
		}
		return body, err
	}
	return nil, fmt.Errorf("%w: %s", errNoField, name)
}

func (v *view) read() (ref.Val, error) {
	if !v.decoded {
		v.decoded = true
		v.body, v.err = v.decode(v.event.Data)
	}
	return v.body, v.err
}

// isSet answers has(event.x). Only type and source may be missing.
func (v *view) isSet(name string) bool {
	switch name {
	case "type":
		return v.event.Type != ""
	case "source":
		return v.event.Source != ""
	}
	return true
}

// The methods of ref.Val, traits.Indexer and traits.FieldTester serve
// expressions that lose the type on the way, such as dyn(event).id.

func (v *view) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("event cannot become %v", t)
}

func (v *view) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return eventType
	}
	return types.NewErr("event cannot become %s", t.TypeName())
}

func (v *view) Equal(other ref.Val) ref.Val { return types.Bool(v == other) }
func (v *view) Type() ref.Type              { return eventType }
func (v *view) Value() any                  { return v }

func (v *view) Get(index ref.Val) ref.Val {
	name, ok := index.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(index)
	}
	val, err := v.field(string(name))
	if err != nil {
		return types.WrapErr(err)
	}
	return val
}

func (v *view) IsSet(field ref.Val) ref.Val {
	name, ok := field.(types.String)
	if !ok || fieldTypes[string(name)] == nil {
		return types.NewErr("no such field: %v", field)
	}
	return types.Bool(v.isSet(string(name)))
}

// registry tells CEL of the event type; everything else is CEL's own registry.
type registry struct{ *types.Registry }

func newRegistry() (registry, error) {
	r, err := types.NewRegistry()
	return registry{r}, err
}

// FindStructType implements types.Provider.
func (r registry) FindStructType(name string) (*types.Type, bool) {
	if name == typeName {
		return types.NewTypeTypeWithParam(eventType), true
	}
	return r.Registry.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (r registry) FindStructFieldNames(name string) ([]string, bool) {
	if name == typeName {
		return fieldNames, true
	}
	return r.Registry.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (r registry) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name != typeName {
		return r.Registry.FindStructFieldType(name, field)
	}
	t, ok := fieldTypes[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type: t,
		IsSet: func(target any) bool {
			v, ok := target.(*view)
			return ok && v.isSet(field)
		},
		GetFrom: func(target any) (any, error) {
			if v, ok := target.(*view); ok {
				return v.field(field)
			}
			return nil, errNoField
		},
	}, true
}
