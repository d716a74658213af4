package schema

import (
	"context"
	"eventserver/app/schema/quick"
	"eventserver/app/schema/tree"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DefaultMaxCost is what the check of one event may cost, in steps of some 25 ns, where
// nothing else is configured.
const DefaultMaxCost = quick.DefaultMaxCost

// Spent counts what the checks of the events of one request cost together, in steps.
type Spent = quick.Meter

// Mode says what a Policy does with an event that breaks its schema.
type Mode string

// Modes.
const (
	Enforce Mode = "enforce" // refuse it
	Warn    Mode = "warn"    // tell, and let it pass
	Off     Mode = "off"     // do not look
)

// Policy is a Registry with what follows from it for each type.
type Policy struct {
	registry      *Registry
	mode          Mode
	modes         map[string]Mode
	rejectUnknown bool
	maxCost       int64
}

// PolicyConfig configures a Policy. Zero fields take the defaults.
type PolicyConfig struct {
	Registry      *Registry
	Mode          Mode            // of every type; default Enforce
	Modes         map[string]Mode // of single types; they win
	RejectUnknown bool            // refuse types without a schema, and events without a type
	MaxCost       int64           // of the check of one event, in steps; default DefaultMaxCost
}

// NewPolicy makes a Policy. A mode for a type that has no schema is an error:
// it is a slip, and the type would pass unseen.
func NewPolicy(c PolicyConfig) (*Policy, error) {
	if c.Mode == "" {
		c.Mode = Enforce
	}
	if c.MaxCost == 0 {
		c.MaxCost = DefaultMaxCost
	}
	for _, typ := range slices.Sorted(maps.Keys(c.Modes)) {
		if _, ok := c.Registry.Lookup(typ); !ok {
			return nil, fmt.Errorf("types: there is no schema of type %q; known are %s", typ, strings.Join(c.Registry.names(), ", "))
		}
	}
	return &Policy{registry: c.Registry, mode: c.Mode, modes: c.Modes, rejectUnknown: c.RejectUnknown, maxCost: c.MaxCost}, nil
}

func (r *Registry) names() []string {
	var all []string
	for _, s := range r.Schemas() {
		all = append(all, s.Type)
	}
	return all
}

// Registry returns the schemas.
func (p *Policy) Registry() *Registry { return p.registry }

// Mode is what is done with events of a type that has a schema.
func (p *Policy) Mode(typ string) Mode {
	if m, ok := p.modes[typ]; ok {
		return m
	}
	return p.mode
}

// RuleUnknown is the rule of an event whose type has no schema, where such
// types are refused.
const RuleUnknown = "x-event.type"

// Check judges data as an event of type typ. It returns what is wrong, or nil,
// and whether that refuses the event. Every type has a schema or is unknown. The
// error is that of ctx, when it ends before there is an answer.
//
// spent is what the events of one request have cost so far; nil: it is alone.
func (p *Policy) Check(ctx context.Context, typ string, data []byte, spent *Spent) (v *Violation, refused bool, err error) {
	s, ok := p.registry.Lookup(typ)
	if !ok {
		if !p.rejectUnknown || p.mode == Off {
			return nil, false, nil
		}
		return p.unknown(typ), p.mode == Enforce, nil
	}
	mode := p.Mode(typ)
	if mode == Off {
		return nil, false, nil
	}
	v, err = s.validate(ctx, data, p.maxCost, spent)
	return v, v != nil && mode == Enforce, err
}

func (p *Policy) unknown(typ string) *Violation {
	detail := "has no schema, and types without one are refused"
	if typ == "" {
		detail = "is missing, and events without a type are refused"
	} else if near := tree.Nearest(typ, p.registry.names()); near != "" {
		detail += "; did you mean " + tree.Quote(near) + "?"
	}
	return &Violation{Type: tree.Cut(typ, tree.MaxDetail/4), Pointer: "/type", Rule: RuleUnknown, Detail: detail}
}

// Key is the ordering key of data: where the type's schema names one, the value
// there; otherwise given, which may be "". A fault, also a given key that
// differs, is refused where the type is enforced; else given goes before.
func (p *Policy) Key(typ string, data []byte, given string) (key string, v *Violation, refused bool) {
	s, ok := p.registry.Lookup(typ)
	if !ok || s.KeyPointer == "" || p.Mode(typ) == Off {
		return given, nil, false
	}
	refused = p.Mode(typ) == Enforce
	key, _, err := s.Key(data)
	if err != nil {
		return given, err.(*Violation), refused //nolint:errorlint // Key returns nothing else
	}
	if given != "" && given != key {
		return given, &Violation{Type: s.Type, Version: s.Version, Pointer: s.KeyPointer, Rule: RuleKey,
			Detail: "differs from the event's key (or userId); send one of them, or the same value in both"}, refused
	}
	return key, nil, false
}
