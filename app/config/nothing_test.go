package config

import (
	"eventserver/app/config/strict"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A key with nothing behind it: the cure fits its type, at every depth, and where
// a value is written as it says the key has no fault of that kind any more.
func TestCureOfNothing(t *testing.T) {
	for _, b := range []bad{
		{"list of sections", "destinations:\n", `1: destinations: has no value; write a line with a dash below it for each entry, or [] for none`},
		{"list of texts", "destinations: []\nhttp:\n  metadata_headers:\n", `3: http.metadata_headers: has no value; write a list such as [a, b], or a line with a dash below it for each entry, or [] for none, or delete the key`},
		{"list that is not empty", "destinations:\n- {id: a, kind: log, types: }\n", `2: destinations[0].types: has no value; write a list such as [a, b], or a line with a dash below it for each entry, or delete the key`},
		{"map", "destinations: []\nbroker:\n  topics: null\n", `3: broker.topics: has no value; write lines of key: value below it, indented, or delete the key`},
		{"section", "destinations: []\nschemas:\n", `2: schemas: has no value; write lines of key: value below it, indented, or delete the key`},
		{"section in a section", "destinations:\n- {id: a, kind: log, retry: ~}\n", `2: destinations[0].retry: has no value; write lines of key: value below it, indented, or delete the key`},
		{"choice", "destinations: []\nlog: {level: }\n", `2: log.level: has no value; write one of debug, info, warn, error, or delete the key for its default info`},
		{"switch", "destinations: []\nbroker: {sync: null}\n", `2: broker.sync: has no value; write true or false, or delete the key for its default true`},
		{"number", "destinations: []\nbroker: {partitions: }\n", `2: broker.partitions: has no value; give one, or delete the key for its default 8`},
		{"required", "destinations:\n- id:\n  kind: log\n", `2: destinations[0].id: has no value; give id (Name in topics, metrics and the poison queue)`},
		{"entry of a list", "destinations: []\nhttp: {metadata_headers: [~]}\n", `2: http.metadata_headers[0]: has no value; give one, or delete the dash`},
		{"section in a list", "destinations: []\nhttp:\n  keys:\n  -\n", `4: http.keys[0]: has no value; write its keys behind the dash, or delete the dash`},
		{"map of a kind", "destinations:\n- id: a\n  kind: webhook\n  url: http://x\n  headers:\n", `5: destinations[0].headers: has no value; write lines of key: value below it, indented, or delete the key`},
		{"list of a kind", "destinations:\n- id: a\n  kind: webhook\n  url: http://x\n  statuses:\n", `5: destinations[0].statuses: has no value; write a list such as [a, b], or a line with a dash below it for each entry, or [] for none, or delete the key`},
		{"section of a kind", "destinations:\n- id: a\n  kind: webhook\n  url: http://x\n  limits:\n    low:\n", `6: destinations[0].limits.low: has no value; give one, or delete the key for its default 1`},
	} {
		t.Run(b.name, func(t *testing.T) { b.check(t) })
	}
	// Every key of every section.
	var walk func(path []string, typ reflect.Type)
	walk = func(path []string, typ reflect.Type) {
		for _, f := range strict.FieldsOf(typ) {
			at := append(path[:len(path):len(path)], f.Name)
			src := "destinations: []\n"
			if at[0] == "destinations" {
				src = ""
			}
			for i, key := range at {
				src += strings.Repeat("  ", i) + key + ":\n"
			}
			_, err := Parse("t.yaml", []byte(src), Checks{Here: true})
			inner := f.Type
			for inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			want := map[reflect.Kind]string{reflect.Slice: "with a dash", reflect.Map: "lines of key: value", reflect.Struct: "lines of key: value"}[inner.Kind()]
			fault := fmt.Sprintf("%s: has no value; ", strings.Join(at, "."))
			if err == nil || !strings.Contains(err.Error(), fault) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", strings.Join(at, "."), err)
			}
			if f.Required && strings.Contains(err.Error(), "delete the key") {
				t.Errorf("%s is required, and its cure is to delete it", strings.Join(at, "."))
			}
			if inner.Kind() == reflect.Struct {
				walk(at, inner)
			}
		}
	}
	walk(nil, reflect.TypeFor[Config]())
}
