package schema

import (
	"fmt"
	"math/big"
	"strings"

	"go.yaml.in/yaml/v4"

	"eventserver/app/schema/tree"
	"eventserver/app/textfile"
)

// Limits of one file. Aliases of aliases can stand for far more values than a
// file has bytes, and compiling takes the square of the number of schemas.
const (
	maxNodes = 50_000
	maxLevel = 100
)

// yamlFile reads one file into values.
type yamlFile struct {
	name  string
	rep   *reporter
	nodes int
	lost  bool // the rest of the file was not read
}

func (y *yamlFile) fault(line int, path, msg string) { y.rep.add(y.name, line, path, msg) }

// parseYAML is the value of the file's only document, with its faults in rep; nil
// when it could not be read to its end.
func parseYAML(name string, src []byte, rep *reporter) *tree.Value {
	y := &yamlFile{name: name, rep: rep}
	root := y.document(src)
	if root == nil {
		return nil
	}
	if v := y.value(root, "", 0); !y.lost {
		return v
	}
	return nil
}

func (y *yamlFile) document(src []byte) *yaml.Node {
	read := true
	root := textfile.Document(src, textfile.Cures{
		TooLarge: "give each type its own file, and large definitions too",
		Second:   "give it its own file, and delete this --- line",
	}, func(line int, msg string) { read = false; y.fault(line, "", msg) })
	if root == nil && read {
		y.fault(0, "", "is empty; write a schema, or delete the file")
	}
	return root
}

func (y *yamlFile) value(n *yaml.Node, path string, level int) *tree.Value {
	v := &tree.Value{Line: n.Line}
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if y.nodes++; y.nodes == maxNodes+1 {
		y.fault(v.Line, path, fmt.Sprintf("the file stands for more than %d values, those behind aliases included; use fewer", maxNodes))
	}
	if y.nodes > maxNodes {
		y.lost = true
		return v
	}
	if level > maxLevel {
		y.lost = true
		y.fault(v.Line, path, fmt.Sprintf("is nested more than %d levels deep, or an alias holds itself; use $ref and $defs", maxLevel))
		return v
	}
	if n.Style&yaml.TaggedStyle != 0 {
		y.fault(v.Line, path, "has a YAML tag (!name), which JSON has not; delete it, or quote a text that starts with !")
		v.Kind, v.Text = tree.StringKind, n.Value
		return v
	}
	switch n.Kind {
	case yaml.MappingNode:
		v.Kind = tree.ObjectKind
		y.mapping(n, v, path, level)
	case yaml.SequenceNode:
		v.Kind = tree.ArrayKind
		for i, c := range n.Content {
			v.Items = append(v.Items, y.value(c, fmt.Sprintf("%s/%d", path, i), level+1))
		}
	default:
		y.scalar(n, v, path)
	}
	return v
}

func (y *yamlFile) mapping(n *yaml.Node, v *tree.Value, path string, level int) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, line := n.Content[i], n.Content[i].Line
		if k.Kind == yaml.AliasNode && k.Alias != nil {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			y.fault(line, path, "has a name that is not a text; write a word before the colon")
			continue
		}
		if k.Style&yaml.TaggedStyle != 0 {
			y.fault(line, path, "has a name with a YAML tag (!name), which JSON has not; delete the tag")
			continue
		}
		at := path + "/" + tree.Escape(k.Value)
		switch tag := k.ShortTag(); {
		case tag == "!!merge":
			y.fault(line, path, "has a merge key (<<), which JSON Schema has not; use allOf with $ref")
			continue
		case tag != "!!str":
			y.fault(line, at, fmt.Sprintf("the name %s is not a text to YAML; put it in quotes", tree.Quote(k.Value)))
			continue
		}
		if was, dup := first[k.Value]; dup {
			y.fault(line, at, fmt.Sprintf("duplicate key, first given on line %d; delete one", was))
			continue
		}
		first[k.Value] = line
		v.Members = append(v.Members, tree.Member{Name: k.Value, Line: line, Value: y.value(n.Content[i+1], at, level+1)})
	}
}

// scalar takes what JSON and every YAML parser read alike.
func (y *yamlFile) scalar(n *yaml.Node, v *tree.Value, path string) {
	v.Kind, v.Text = tree.StringKind, n.Value // unless it is something else
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if quoted {
		return
	}
	if tree.IsNumber(n.Value) {
		v.Kind = tree.NumberKind
		if !tree.Fitting(n.Value) {
			y.fault(v.Line, path, "is a number of too many digits; "+tree.NumberCure)
		}
		return
	}
	shown := tree.Quote(n.Value)
	switch n.ShortTag() {
	case "!!null":
		v.Kind, v.Text = tree.NullKind, ""
	case "!!bool":
		v.Kind, v.Text, v.Yes = tree.BoolKind, "", strings.EqualFold(n.Value, "true")
		if n.Value != "true" && n.Value != "false" {
			y.fault(v.Line, path, shown+" is a boolean to some readers of YAML; write true or false, or put it in quotes")
		}
	case "!!int", "!!float":
		msg := shown + " is a number that JSON does not write so"
		if jsonForm := decimal(n.Value); jsonForm != "" {
			y.fault(v.Line, path, msg+"; write "+jsonForm+", or put it in quotes if a text is meant")
			return
		}
		y.fault(v.Line, path, msg+", or not at all; write digits, or put it in quotes if a text is meant")
	case "!!timestamp":
		y.fault(v.Line, path, shown+" is a date to YAML, which JSON has not; put it in quotes")
	}
}

// decimal is an integer that YAML writes as 0x10, 0o17, 0b1, +1 or 1_000.
func decimal(text string) string {
	i, ok := new(big.Int).SetString(strings.TrimPrefix(text, "+"), 0)
	if !ok || len(text) > tree.MaxExcerpt {
		return ""
	}
	return i.String()
}
