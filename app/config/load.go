package config

import (
	"fmt"
	"io"
	"os"
	"reflect"

	"go.yaml.in/yaml/v4"

	"eventserver/app/http/budget"
	"eventserver/app/textfile"
	"eventserver/destinations"
)

// Load reads and checks the file at path. kinds holds the check of each kind
// of destination; nil leaves the kinds' keys unchecked. The error is *Faults
// with every fault of the file.
//
// ${NAME} and ${NAME:-default} in values come from the environment. A relative
// path in the file (dir, ca_file, secret_file) is relative to the working
// directory.
func Load(path string, kinds map[string]KindCheck) (*Config, error) {
	return load(path, kinds, os.Open)
}

// LoadRegular is Load for a regular file alone: it never waits for the writer of
// a pipe.
func LoadRegular(path string, kinds map[string]KindCheck) (*Config, error) {
	return load(path, kinds, destinations.OpenFile)
}

func load(path string, kinds map[string]KindCheck, open func(string) (*os.File, error)) (*Config, error) {
	src, err := read(path, open)
	if err != nil {
		return nil, textfile.NewFaults(&Fault{File: path, Cause: err,
			Msg: fmt.Sprintf("cannot be read: %v; give the path of a configuration file after --config", withoutPath(err))})
	}
	return Parse(path, src, kinds)
}

func read(path string, open func(string) (*os.File, error)) ([]byte, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	return io.ReadAll(io.LimitReader(file, textfile.MaxBytes+1))
}

// Parse is Load for the content of a file; name stands for it in the faults.
func Parse(name string, src []byte, kinds map[string]KindCheck) (*Config, error) {
	l := newLoader(name, kinds)
	var c Config
	if root := l.document(src); root != nil {
		l.structure(root, "", reflect.ValueOf(&c).Elem())
	}
	if err := newFaults(l.faults, &l.hide); err != nil {
		return nil, err
	}
	if c.Broker.InstanceID == "" {
		c.Broker.InstanceID = instanceID(c.Broker.Kind)
	}
	if c.HTTP.MaxBufferedBytes == 0 {
		c.HTTP.MaxBufferedBytes = ByteSize(budget.Default(c.HTTP.requests()))
	}
	if c.Admin.Addr == "" {
		c.Admin.Addr, _ = adminAddr(c.HTTP.Addr) // it was checked
	}
	return &c, nil
}

// Default is what runs without --config: it listens on 127.0.0.1:8080, keeps
// events in ./data and writes them to the log.
func Default() *Config {
	c, err := Parse("default", []byte("destinations: [{id: log, kind: log}]"), nil)
	if err != nil {
		panic(err) // a default tag is wrong; the tests see it
	}
	return c
}

// document is the root mapping of the file's only document; nil when there is
// nothing to decode.
func (l *loader) document(src []byte) *yaml.Node {
	read := true
	root := textfile.Document(src, textfile.Cures{
		TooLarge: "a configuration is smaller, so give the right file or fewer destinations",
		Second:   "keep one, and delete this --- line",
	}, func(line int, msg string) { read = false; l.add(line, "", msg) })
	if root == nil && read {
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}
	}
	return root
}
