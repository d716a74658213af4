package gogen_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"eventserver/app/schema"
	"eventserver/app/schema/gogen"
)

// publicSchemas has the packages that scripts/public-schemas fetches.
const publicSchemas = "EVENTSERVER_TEST_SCHEMAS"

// document is a public schema, and values with the pointer to what they are of.
type document struct {
	name     string
	root     map[string]any
	examples []example
}

type example struct {
	ptr  string
	data json.RawMessage
}

// The schemas of public packages are loaded, their types compile, and their
// examples come back without loss.
func TestPublicSchemas(t *testing.T) {
	dir := os.Getenv(publicSchemas)
	if dir == "" {
		t.Skip("make public-schemas runs it")
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil || len(packages) == 0 {
		t.Fatal("no packages", err)
	}
	for i := range packages {
		packages[i] = filepath.Dir(packages[i])
	}
	for _, pkg := range slices.Compact(packages) {
		t.Run(filepath.Base(pkg), func(t *testing.T) {
			t.Parallel()
			try(t, documents(t, pkg))
		})
	}
}

func documents(t *testing.T, pkg string) (docs []document) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pkg, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root, ok := value(t, string(data)).(map[string]any)
		if !ok {
			t.Fatalf("%s is no schema", file)
		}
		old := !strings.Contains(fmt.Sprint(root["$schema"]), "2020-12")
		root = modern(root, old).(map[string]any)
		d := document{name: strings.TrimSuffix(filepath.Base(file), ".json"), root: root}
		examplesIn(root, "", &d.examples)
		d.examples = append(d.examples, webhooks(t, pkg, root)...)
		docs = append(docs, d)
	}
	return docs
}

// webhooks are the examples of @octokit/webhooks-examples: a list for each event.
func webhooks(t *testing.T, pkg string, root map[string]any) (list []example) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(pkg, "examples", "index.json"))
	if err != nil {
		return nil
	}
	var events []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err := json.Unmarshal(data, &events); err != nil {
		t.Fatal(err)
	}
	defs, _ := root["$defs"].(map[string]any)
	for _, e := range events {
		if def := e.Name + "_event"; defs[def] != nil {
			for _, data := range e.Examples {
				list = append(list, example{"/$defs/" + def, data})
			}
		}
	}
	return list
}

// examplesIn collects what the schemas themselves have as examples.
func examplesIn(s any, ptr string, list *[]example) {
	m, ok := s.(map[string]any)
	if !ok {
		return
	}
	examples, _ := m["examples"].([]any)
	for _, e := range examples {
		data, err := json.Marshal(e)
		if err == nil {
			*list = append(*list, example{ptr, data})
		}
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for _, keyword := range slices.Sorted(maps.Keys(m)) {
		at := ptr + "/" + escape.Replace(keyword)
		switch sub := m[keyword].(type) {
		case map[string]any:
			if !inMap[keyword] {
				examplesIn(sub, at, list)
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(sub)) {
				examplesIn(sub[name], at+"/"+escape.Replace(name), list)
			}
		case []any:
			for i, one := range sub {
				if inList[keyword] {
					examplesIn(one, fmt.Sprintf("%s/%d", at, i), list)
				}
			}
		}
	}
}

var (
	inMap  = map[string]bool{"$defs": true, "properties": true, "patternProperties": true, "dependentSchemas": true}
	inList = map[string]bool{"allOf": true, "anyOf": true, "oneOf": true, "prefixItems": true}
	alone  = map[string]bool{"not": true, "if": true, "then": true, "else": true, "items": true, "contains": true, "additionalProperties": true,
		"propertyNames": true, "unevaluatedItems": true, "unevaluatedProperties": true}
	asIs = strings.Fields("type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength maxItems minItems " +
		"uniqueItems maxContains minContains maxProperties minProperties required dependentRequired title description examples")
	known = strings.Fields("date-time date time duration email hostname ipv4 ipv6 uri uri-reference uri-template iri iri-reference uuid " +
		"json-pointer relative-json-pointer regex")
)

// modern writes a schema as docs/schemas.md says that a file of draft 7 is
// rewritten: its keywords in 2020-12, without identifiers, keywords and formats of
// the author's own, and patterns that RE2 has not.
func modern(s any, old bool) any {
	m, ok := s.(map[string]any)
	if !ok {
		return s
	}
	out := map[string]any{}
	if ref, ok := m["$ref"].(string); ok {
		if !strings.HasPrefix(ref, "#") {
			return map[string]any{}
		}
		out["$ref"] = reference(ref)
		if old { // what stands beside it does not count
			if defs := m["definitions"]; defs != nil {
				out["$defs"] = modernMap(defs, old)
			}
			return out
		}
	}
	for keyword, v := range m {
		switch {
		case keyword == "definitions":
			out["$defs"] = modernMap(v, old)
		case inMap[keyword]:
			out[keyword] = modernMap(v, old)
		case keyword == "dependencies":
			required, schemas := map[string]any{}, map[string]any{}
			for name, dep := range v.(map[string]any) {
				if list, ok := dep.([]any); ok {
					required[name] = list
				} else {
					schemas[name] = modern(dep, old)
				}
			}
			out["dependentRequired"], out["dependentSchemas"] = required, schemas
		case keyword == "items" && isList(v):
			out["prefixItems"] = modernList(v, old)
			if more, ok := m["additionalItems"]; ok {
				out["items"] = modern(more, old)
			}
		case inList[keyword]:
			out[keyword] = modernList(v, old)
		case alone[keyword]:
			out[keyword] = modern(v, old)
		case keyword == "pattern":
			if _, err := regexp.Compile(v.(string)); err == nil {
				out[keyword] = v
			}
		case keyword == "format" && slices.Contains(known, v.(string)), slices.Contains(asIs, keyword):
			out[keyword] = v
		}
	}
	if _, ok := out["examples"].([]any); !ok {
		delete(out, "examples")
	}
	return out
}

func isList(v any) bool { _, ok := v.([]any); return ok }

func modernList(v any, old bool) any {
	list := slices.Clone(v.([]any))
	for i := range list {
		list[i] = modern(list[i], old)
	}
	return list
}

func modernMap(v any, old bool) any {
	out := map[string]any{}
	for name, s := range v.(map[string]any) {
		out[name] = modern(s, old)
	}
	return out
}

// reference is a $ref with the keywords of 2020-12.
func reference(ref string) string {
	toks := strings.Split(ref, "/")
	for i, tok := range toks {
		if tok == "definitions" {
			toks[i] = "$defs"
		}
	}
	return strings.Join(toks, "/")
}

// try has an event for each schema with examples, and for each document as a whole.
func try(t *testing.T, docs []document) {
	t.Helper()
	dir := t.TempDir()
	byType := map[string]document{}
	place := map[string]string{}
	var all []struct{ typ, event string }
	for i, d := range docs {
		text, err := json.Marshal(d.root)
		if err != nil {
			t.Fatal(err)
		}
		file := "_" + d.name + ".yaml"
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
		events := map[string]string{}
		event := func(ptr string) string {
			if events[ptr] == "" {
				typ := fmt.Sprintf("d%d.e%d", i, len(events))
				events[ptr], byType[typ], place[typ] = typ, d, ptr
				ref := file + "#" + (&url.URL{Path: ptr}).EscapedPath()
				event := fmt.Sprintf(`{"x-event": {"type": %q, "version": 1}, "description": "d", "type": "object", "examples": [{}], "properties": {"v": {"$ref": %q}}}`, typ, ref)
				if err := os.WriteFile(filepath.Join(dir, typ+".yaml"), []byte(event), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return events[ptr]
		}
		event("")
		for _, e := range d.examples {
			var data bytes.Buffer
			if err := json.Compact(&data, e.data); err != nil {
				t.Fatal(err)
			}
			all = append(all, struct{ typ, event string }{event(e.ptr), `{"v":` + data.String() + `}`})
		}
	}
	reg, err := schema.Load(dir)
	refused := map[string]string{}
	for faults := (*schema.Faults)(nil); errors.As(err, &faults); reg, err = schema.Load(dir) {
		for _, f := range faults.List() {
			base := strings.TrimSuffix(filepath.Base(f.File), ".yaml")
			if !strings.HasPrefix(base, "_") {
				base = "_" + byType[base].name
			}
			refused[base[1:]] = f.Error()
			_ = os.Remove(filepath.Join(dir, base+".yaml"))
			for typ, d := range byType {
				if d.name == base[1:] {
					_ = os.Remove(filepath.Join(dir, typ+".yaml"))
				}
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, why := range refused {
		t.Logf("%s is not loaded: %.300s", name, why)
	}
	src, err := gogen.File(reg, "events")
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	var sent []struct{ typ, event string }
	for _, e := range all {
		// Some examples are older than their schemas.
		if s, ok := reg.Lookup(e.typ); ok && s.Validate([]byte(e.event)) == nil {
			fmt.Fprintln(&lines, e.typ, e.event)
			sent = append(sent, e)
		}
	}
	if len(sent) < 100 {
		t.Errorf("%d valid examples", len(sent))
	}
	bad := 0
	for i, got := range run(t, src, lines.Bytes()) {
		if i >= len(sent) {
			break
		}
		d := tree{byType[sent[i].typ].root}
		ptr := place[sent[i].typ]
		at := got
		if !strings.HasPrefix(got, "error") {
			schema := map[string]any{"properties": map[string]any{"v": map[string]any{"$ref": "#" + ptr}}}
			at = d.lost(t, []any{schema}, value(t, sent[i].event), value(t, got), "")
		}
		if at != "" {
			bad++
			t.Errorf("%s%s: %.200s: %.300s", byType[sent[i].typ].name, ptr, at, sent[i].event)
		}
	}
	t.Logf("%d documents, %d loaded; %d bytes of Go, %d structs, %d fields, %d of them any; %d examples, %d valid, %d come back without loss",
		len(docs), len(docs)-len(refused), len(src), bytes.Count(src, []byte(" struct {\n")), bytes.Count(src, []byte("`json:")),
		bytes.Count(src, []byte(" any ")), len(all), len(sent), len(sent)-bad)
}
