package config

import (
	"eventserver/app/config/strict"
	"fmt"
	"reflect"
	"strings"
)

// KindDoc is a kind of destination for Reference. Config is its struct, or a
// pointer to it.
type KindDoc struct {
	Name   string
	Config any
}

const preface = `# Configuration

<!-- Generated from the struct tags of package app/config and of the kinds. Do not edit: change the tags and run make generate. -->

` + "`eventserver --config eventserver.yaml`" + ` reads one YAML file. [configure.md](configure.md) has a first one, and examples/config/ has files to start from.
Without a file the server listens on 127.0.0.1:8080, keeps events in ./data and writes them to its log.

The file is read strictly. A key that is not in this reference, a key given twice, a wrong type and an impossible value are faults. The server lists all
faults at once, each with its line, path and cure, and does not start.

- **Durations** have a unit: ` + "`500ms`, `30s`, `1h30m`" + `. **Sizes** are bytes, or have one of KiB, MiB, GiB, TiB.
- **Environment**: ` + "`${NAME}`" + ` and ` + "`${NAME:-default}`" + ` in a value are replaced after the YAML is parsed, so a variable cannot
  add keys. The default also replaces an empty variable. A missing variable without a default is a fault.
  ` + "`$${`" + ` is a literal ` + "`${`" + `.
- **Secrets** can come from a file: beside each key of type secret there is ` + "`<key>_file`" + ` with the path of the file. One newline at its end is dropped.
  Secrets never appear in faults, logs or dumps.
- **Aliases and merge keys** (` + "`&name`, `*name`, `<<: *name`" + `) work, for example to share one ` + "`retry`" + ` among destinations.
- **Paths** in values are relative to the working directory of the server.
- **Files and directories** are checked: a missing certificate, one that does not fit its key, and a directory that cannot be created or written to are
  faults. A private or loopback address in ` + "`url`" + ` without ` + "`allow_private`" + ` is a fault for ` + "`eventserver check`" + `. The server only warns of it at
  its start, since the other destinations work. Names are not looked up.
- **Without a file**: ` + "`--config -`" + ` reads standard input, ` + "`--config env:NAME`" + ` the YAML in the variable NAME. Such a server cannot reload.
- **Commands beside the server** (` + "`destinations`, `poison`, `explain`, `tail`, `send`, `health`" + ` and others) read the same file, and need only the
  variables and secret files that they use themselves.
- A file holds one document, of at most 1 MiB and 1000 destinations.

A key without a default is empty when it is not given. **Required** keys must be given.
`

const durability = `
Three settings weaken the promise of a 2xx answer. The server accepts them: ` + "`kind: memory`" + ` (events end with
the process), ` + "`sync: false`" + ` (a power failure can lose the last events) and, with kafka, ` + "`replication: 1`" + ` (the loss of one Kafka disk
loses events).
`

const kindsPreface = `
A destination also has the keys of its kind, on the same level:
`

// Reference is docs/config.md: every key with its type, default and meaning,
// first the server's and then those of each kind.
func Reference(kinds []KindDoc) string {
	var b strings.Builder
	b.WriteString(preface)
	var top []strict.Row
	sections := strict.FieldsOf(reflect.TypeFor[Config]())
	for _, f := range sections {
		if strict.StructOf(f.Type) == nil {
			top = append(top, strict.RowOf("", f))
		}
	}
	b.WriteString("\n## Top level\n\n")
	strict.Table(&b, top)
	for _, f := range sections {
		t := strict.StructOf(f.Type)
		if t == nil {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", f.Name, f.Doc)
		if f.Name == "broker" {
			b.WriteString(durability)
		}
		b.WriteString("\n")
		strict.Table(&b, strict.RowsOf(strict.Nested("", f), t))
	}
	if len(kinds) > 0 {
		b.WriteString(kindsPreface)
	}
	for _, k := range kinds {
		fmt.Fprintf(&b, "\n### kind: %s\n\n", k.Name)
		t := reflect.TypeOf(k.Config)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if rows := strict.RowsOf("destinations[]", t); len(rows) > 0 {
			strict.Table(&b, rows)
		} else {
			b.WriteString("No keys of its own.\n")
		}
	}
	return b.String()
}
