package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"

	"eventserver/app/config/strict"
	"eventserver/app/textfile"
)

// Checks says how a configuration is read and checked.
type Checks struct {
	// Kinds holds the check of each kind of destination; nil leaves the kinds' keys unchecked.
	Kinds map[string]KindCheck
	// Brokers holds the check of each kind of broker beside those that are built in.
	Brokers map[string]KindCheck
	// Whole checks what only the caller can; its errors are as those of a Validator.
	// It is called with a configuration that has faults, too.
	Whole func(*Config) error
	// Here looks for what cannot work on this machine: see Prechecker.
	Here bool
	// Strict makes faults of warnings: see Warner.
	Strict bool
	// Partly leaves values out whose variable is not set, or whose secret file
	// cannot be read: a program beside the server needs few of them. See Need.
	Partly bool
	// Regular refuses a pipe, whose writer a reload must not wait for.
	Regular bool
}

// loader is one for a file, or for a destination's keys.
func (c Checks) loader(file string) *strict.Loader {
	return strict.New(file, strict.Options{Here: c.Here, Strict: c.Strict, Partly: c.Partly}, strict.Hooks{Words: c.words, After: c.after})
}

// words are the kinds of brokers beside those that are built in.
func (c Checks) words(of reflect.Type, key string) []string {
	if of != brokerType || key != "kind" {
		return nil
	}
	return slices.Sorted(maps.Keys(c.Brokers))
}

// after lets kinds check their own keys.
func (c Checks) after(l *strict.Loader, n *yaml.Node, path string, v any) {
	switch v := v.(type) {
	case *Destination:
		c.destination(l, n, path, v)
	case *Broker:
		c.broker(l, n, path, v)
	}
}

// Load reads and checks the file at path, or what stands for one: see Stdin. ""
// is what runs without a file. The error is *Faults with every fault of the file.
//
// ${NAME} and ${NAME:-default} in values come from the environment. A relative
// path in the file (dir, ca_file, secret_file) is relative to the working
// directory.
func Load(path string, checks Checks) (*Config, error) {
	if path == "" {
		return Parse("the default configuration", []byte(withoutFile), checks)
	}
	name, src, err := strict.Content(path, checks.Regular)
	if err != nil {
		return nil, textfile.NewFaults(&strict.Fault{File: name, Cause: err,
			Msg: fmt.Sprintf("cannot be read: %v; give the path of a configuration file after --config, - or env:NAME", strict.WithoutPath(err))})
	}
	return Parse(name, src, checks)
}

// Parse is Load for the content of a file; name stands for it in the faults.
func Parse(name string, src []byte, checks Checks) (*Config, error) {
	l := checks.loader(name)
	var c Config
	if root := l.Document(src, textfile.Cures{
		TooLarge: "a configuration is smaller, so give the right file or fewer destinations",
		Second:   "keep one, and delete this --- line",
	}); root != nil {
		l.Structure(root, "", reflect.ValueOf(&c).Elem())
		if checks.Whole != nil && root.Kind == yaml.MappingNode {
			l.Attribute(checks.Whole(&c), root, "", strict.KeysOf(strict.FieldsOf(reflect.TypeFor[Config]())))
		}
	}
	c.missing, c.warnings = l.Missing, l.Warnings
	if err := strict.NewFaults(l.Faults, &l.Hide); err != nil {
		return nil, err
	}
	if c.Broker.InstanceID == "" {
		c.Broker.InstanceID = instanceID(c.Broker.Kind)
	}
	if c.Memory == 0 {
		c.Memory = max(256*strict.MiB, c.leastMemory())
	}
	if c.Admin.Addr == "" {
		c.Admin.Addr, _ = adminAddr(c.HTTP.Addr) // it was checked
	}
	return &c, nil
}

// Warnings are what the configuration names that will fail at each use: see
// Warner. Loaded with Checks.Strict there are none.
func (c *Config) Warnings() []*strict.Fault { return slices.Clone(c.warnings) }

// withoutFile is what runs without a file.
const withoutFile = "destinations: [{id: log, kind: log}]"

// Default is what runs without --config: it listens on 127.0.0.1:8080, keeps
// events in ./data and writes them to the log.
func Default() *Config {
	c, err := Load("", Checks{})
	if err != nil {
		panic(err) // a default tag is wrong; the tests see it
	}
	return c
}
