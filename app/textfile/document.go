package textfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// MaxBytes is the largest file that Document reads.
const MaxBytes = 1 << 20

// Cures end the messages of Document, which know nothing of the file's purpose.
type Cures struct {
	TooLarge string // of a file that is larger than MaxBytes
	Second   string // of a file with two documents
}

// Document is the root of the file's only document; nil where the file is empty,
// or null, or could not be read: then add was called.
func Document(src []byte, cures Cures, add func(line int, msg string)) *yaml.Node {
	if len(src) > MaxBytes {
		add(0, "is larger than 1MiB; "+cures.TooLarge)
		return nil
	}
	loader, err := yaml.NewLoader(strings.NewReader(string(src)))
	if err != nil {
		syntax(src, err, add)
		return nil
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		syntax(src, err, add)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		add(second.Line, "a second YAML document starts here; "+cures.Second)
	case !errors.Is(err, io.EOF):
		syntax(src, err, add)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null" {
		return nil
	}
	return doc.Content[0]
}

// syntax adds the parser's error in our words: its own tell what the parser was
// at, and may repeat an unquoted secret that starts with a star.
func syntax(src []byte, err error, add func(line int, msg string)) {
	line := 0
	var yerr *yaml.LoadError
	if errors.As(err, &yerr) {
		line = yerr.Mark.Line
		if yerr.Stage == yaml.ComposerStage && strings.Contains(yerr.Message, "unknown anchor") {
			add(line, "an alias (*name) has no anchor (&name) above it; write the anchor, or quote a value that starts with *")
			return
		}
	}
	if line == 0 {
		add(badCharacter(src), "is not YAML: it has a control character, or is not UTF-8; delete the character, or save the file as UTF-8")
		return
	}
	if indentedWithTab(src, line) {
		add(line, "is not YAML: it is indented with a tab; indent with spaces")
		return
	}
	add(line, `is not YAML, or the line before is not; check the indentation (spaces, no tabs) and the brackets, and quote values with ": " or " #" inside or one of @ & * ! % | > { [ in front`)
}

func indentedWithTab(src []byte, line int) bool {
	n := 0
	for l := range bytes.Lines(src) {
		if n++; n == line {
			indent := l[:len(l)-len(bytes.TrimLeft(l, " \t"))]
			return bytes.IndexByte(indent, '\t') >= 0
		}
	}
	return false
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
