package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxFile is the largest configuration file: a thousand destinations need a
// tenth of it.
const maxFile = 1 << 20

// Load reads and checks the file at path. kinds holds the check of each kind
// of destination; nil leaves the kinds' keys unchecked. The error is *Faults
// with every fault of the file.
//
// ${NAME} and ${NAME:-default} in values come from the environment. A relative
// path in the file (dir, ca_file, secret_file) is relative to the working
// directory.
func Load(path string, kinds map[string]KindCheck) (*Config, error) {
	src, err := read(path)
	if err != nil {
		return nil, &Faults{list: []*Fault{{File: path, err: err,
			Msg: fmt.Sprintf("cannot be read: %v; give the path of a configuration file after --config", withoutPath(err))}}}
	}
	return Parse(path, src, kinds)
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	return io.ReadAll(io.LimitReader(file, maxFile+1))
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
	if len(src) > maxFile {
		l.add(0, "", "is larger than 1MiB; a configuration is smaller, so give the right file or fewer destinations")
		return nil
	}
	loader, err := yaml.NewLoader(strings.NewReader(string(src)))
	if err != nil {
		l.syntax(src, err)
		return nil
	}
	var doc, second yaml.Node
	empty := &yaml.Node{Kind: yaml.MappingNode, Line: 1}
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		return empty
	case err != nil:
		l.syntax(src, err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		l.add(second.Line, "", "a second YAML document starts here; keep one, and delete this --- line")
	case !errors.Is(err, io.EOF):
		l.syntax(src, err)
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return empty
	}
	return doc.Content[0]
}

// syntax adds the parser's error. Its texts are fixed, but for the name of an
// anchor, which may be an unquoted secret that starts with a star.
func (l *loader) syntax(src []byte, err error) {
	line, msg := 0, "the parser gives no reason"
	var yerr *yaml.LoadError
	if errors.As(err, &yerr) {
		line, msg = yerr.Mark.Line, yerr.Message
		if yerr.Stage == yaml.ComposerStage && strings.Contains(msg, "unknown anchor") {
			l.add(line, "", "an alias (*name) has no anchor (&name) above it; write the anchor, or quote a value that starts with *")
			return
		}
	}
	if line == 0 {
		line = badCharacter(src)
	}
	l.add(line, "", "is not YAML: "+msg+`; check the indentation (spaces, no tabs) and the brackets, and quote values with ": " or " #" inside or one of @ & * ! % | > { [ in front`)
}

// badCharacter is the line of the first byte that no YAML text may hold, for
// which the parser names no line.
func badCharacter(src []byte) int {
	line := 1
	for len(src) > 0 {
		r, size := utf8.DecodeRune(src)
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return line
		}
		if r == '\n' {
			line++
		}
		src = src[size:]
	}
	return line
}
