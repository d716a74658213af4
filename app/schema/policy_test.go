package schema

import (
	"strings"
	"testing"
)

func TestPolicy(t *testing.T) {
	registry, err := Load("../../schemas")
	if err != nil {
		t.Fatal(err)
	}
	policy := func(c PolicyConfig) *Policy {
		c.Registry = registry
		p, err := NewPolicy(c)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	order, _ := registry.Lookup("order.placed")
	good := order.Examples[0] // of customer ada
	enforce, warn, off := policy(PolicyConfig{}), policy(PolicyConfig{Mode: Warn, RejectUnknown: true}), policy(PolicyConfig{Mode: Off, RejectUnknown: true})
	strict := policy(PolicyConfig{RejectUnknown: true})
	mixed := policy(PolicyConfig{Mode: Off, Modes: map[string]Mode{"order.placed": Enforce}})
	for _, test := range []struct {
		name    string
		p       *Policy
		typ     string
		data    string
		rule    string // "": nothing is wrong
		refused bool
	}{
		{"good", enforce, "order.placed", string(good), "", false},
		{"bad", enforce, "order.placed", `{}`, "required", true},
		{"bad, only told", warn, "order.placed", `{}`, "required", false},
		{"bad, not looked at", off, "order.placed", `{}`, "", false},
		{"bad, one type alone", mixed, "order.placed", `{}`, "required", true},
		{"bad, another type", mixed, "user.signed_up", `{}`, "", false},
		{"unknown", enforce, "x", `{}`, "", false},
		{"unknown, refused", strict, "x", `{}`, RuleUnknown, true},
		{"unknown, told", warn, "x", `{}`, RuleUnknown, false},
		{"unknown, off", off, "x", `{}`, "", false},
		{"none", strict, "", `{}`, RuleUnknown, true},
	} {
		v, refused, err := test.p.Check(t.Context(), test.typ, []byte(test.data), nil)
		if err != nil {
			t.Error(err)
		}
		rule := ""
		if v != nil {
			rule = v.Rule
		}
		if rule != test.rule || refused != test.refused {
			t.Errorf("%s: %v %v, want %q %v", test.name, v, refused, test.rule, test.refused)
		}
	}
	for _, test := range []struct {
		name, data, given, key string
		p                      *Policy
		fault, refused         bool
	}{
		{"from the data", string(good), "", "ada", enforce, false, false},
		{"the same twice", string(good), "ada", "ada", enforce, false, false},
		{"another", string(good), "bob", "bob", enforce, true, true},
		{"another, told", string(good), "bob", "bob", warn, true, false},
		{"absent", `{}`, "", "", enforce, true, true},
		{"off", string(good), "bob", "bob", off, false, false},
	} {
		key, v, refused := test.p.Key("order.placed", []byte(test.data), test.given)
		if key != test.key || (v != nil) != test.fault || refused != test.refused {
			t.Errorf("%s: %q %v %v", test.name, key, v, refused)
		}
	}
	if key, v, _ := enforce.Key("x", nil, "given"); key != "given" || v != nil {
		t.Error(key, v)
	}
	_, err = NewPolicy(PolicyConfig{Registry: registry, Modes: map[string]Mode{"order.plcaed": Warn}})
	if err == nil || !strings.Contains(err.Error(), `types: there is no schema of type "order.plcaed"; known are order.placed, user.signed_up`) {
		t.Error(err)
	}
}
