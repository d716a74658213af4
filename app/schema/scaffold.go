package schema

import (
	"errors"
	"eventserver/app/schema/tree"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const scaffold = `# What each keyword means: https://json-schema.org/understanding-json-schema
# key is where the ordering key is: events of one key stay in order. Delete it if there is none.
x-event: {type: %[1]q, version: 1, key: /customerId}
description: TODO say in a sentence what happened when this event is sent.
type: object
additionalProperties: false
required: [customerId, amount]
properties:
  customerId:
    description: Whom the event is about.
    type: string
    minLength: 1
    maxLength: 64
  amount:
    description: In cents, so that no fraction is ever rounded.
    type: integer
    minimum: 0
examples:
  - customerId: ada
    amount: 4200
`

// Events that the scaffold is tried with, by the name that says what becomes of
// them; see TestEvents.
var scaffoldEvents = map[string]string{
	"valid-least.json":                  `{"customerId": "ada", "amount": 0}`,
	"invalid-required-amount.json":      `{"customerId": "ada"}`,
	"invalid-minimum-amount.json":       `{"customerId": "ada", "amount": -1}`,
	"invalid-additionalProperties.json": `{"customerId": "ada", "amount": 4200, "customer": "ada"}`,
}

// Scaffold writes the schema of a new type with its example, and events to try it
// with, for its author to change. It returns the paths of what it wrote: first
// dir/<typ>.yaml, then the files in dir/testdata/<typ>, sorted. It makes dir when
// there is none.
//
// The error says when typ is no name of a type (letters, digits, dots, _ and -, at
// most 100, the first a letter or digit), or when the type, its file or its test
// events are there already; nothing is written then.
func Scaffold(dir, typ string) (files []string, err error) {
	if !typeNameRE.MatchString(typ) {
		return nil, fmt.Errorf("type %s is no name of a type; %s", tree.Quote(typ), typeCure)
	}
	if err := taken(dir, typ); err != nil {
		return nil, err
	}
	events := filepath.Join(dir, testdata, typ)
	if err := os.MkdirAll(events, 0o755); err != nil { //nolint:gosec // source files, read by all who build
		return nil, fmt.Errorf("make the directory of the schemas: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(append([]error{err}, removeAll(files)...)...)
			files = nil
		}
	}()
	add := func(path, text string) error {
		if err := create(path, text); err != nil {
			return err
		}
		files = append(files, path)
		return nil
	}
	if err := add(filepath.Join(dir, typ+".yaml"), fmt.Sprintf(scaffold, typ)); err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	for _, name := range tree.SortedKeys(scaffoldEvents) {
		if err := add(filepath.Join(events, name), scaffoldEvents[name]+"\n"); err != nil {
			return files, fmt.Errorf("write a test event: %w", err)
		}
	}
	return files, nil
}

// create writes a file that must not be there: one that appeared meanwhile is not
// overwritten.
func create(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // source files, read by all who build
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func removeAll(files []string) (errs []error) {
	for _, f := range files {
		errs = append(errs, os.Remove(f))
	}
	return errs
}

// taken looks for the type in the files that can be read, whatever else is wrong
// with them.
func taken(dir, typ string) error {
	for _, ext := range []string{".yaml", ".yml"} {
		path := filepath.Join(dir, typ+ext)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already; change it, or choose another type", path)
		}
	}
	events := filepath.Join(dir, testdata, typ)
	if _, err := os.Lstat(events); err == nil {
		return fmt.Errorf("%s is there already; delete it, or choose another type", events)
	}
	root, err := openDir(dir)
	if err != nil {
		return nil //nolint:nilerr // no directory yet; making it tells of anything else
	}
	defer func() { _ = root.Close() }() // read only
	rep := newReporter(dir)
	for _, name := range list(root.FS(), rep) {
		src, err := read(root.FS(), name)
		if err != nil {
			continue
		}
		if v := parseYAML(name, src, rep); v != nil && strings.EqualFold(v.Get("x-event").Get("type").Str(), typ) {
			return fmt.Errorf("type %s is in %s already; change it, or choose another type", typ, filepath.Join(dir, name))
		}
	}
	return nil
}
