package strict

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"eventserver/destinations"
)

// maxSecret is the longest secret file; a key or certificate is far shorter.
const maxSecret = 64 << 10

// secretFile reads a Secret from the file that <key>_file names. The path is
// not shown: some put the secret itself there.
func (l *Loader) secretFile(n *yaml.Node, path string, v reflect.Value, f Field) {
	at := path + "_file"
	var name string
	l.value(n, at, reflect.ValueOf(&name).Elem(), Field{Name: f.Name + "_file", Type: reflect.TypeFor[string]()})
	if l.bad[at] {
		return
	}
	n = deref(n)
	text, err := readSecret(name)
	if err != nil && l.opts.Partly {
		l.leave(&Fault{File: l.File, Line: n.Line, Path: at, Msg: err.Error(), Cause: err})
		l.bad[path] = true
		return
	}
	if err != nil {
		l.bad[path] = true
		l.unreadable(n, at, err.Error())
		l.Faults[len(l.Faults)-1].Cause = err
		return
	}
	l.Hide.add(text, hiddenText)
	v.SetString(text)
}

// openRegular opens a file that must be an ordinary one. The error does not
// hold the name.
func openRegular(name string) (*os.File, error) {
	const cure = "; give the path of a file that this process may read"
	file, err := destinations.OpenFile(name)
	if errors.Is(err, destinations.ErrNotRegular) {
		return nil, errors.New("is not the path of a regular file" + cure)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w%s", WithoutPath(err), cure)
	}
	return file, nil
}

// WithoutPath is an error of a file without the path, which may be a secret.
func WithoutPath(err error) error {
	var perr *os.PathError
	if errors.As(err, &perr) {
		return perr.Err
	}
	return err
}

func readSecret(name string) (string, error) {
	file, err := openRegular(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // read only
	data, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w; give another file", WithoutPath(err))
	}
	if len(data) > maxSecret {
		return "", errors.New("is a file of more than 64KiB; give the file that holds only the secret")
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", errors.New("is an empty file; write the secret into it")
	}
	return text, nil
}

// Validator is implemented by a struct that checks what its tags cannot say.
// Validate returns errors.Join of one error for each fault. A text that starts
// with a key of the struct and a colon ("url: scheme ...", "retry.max: ...",
// "brokers[1]: ...") is reported at that key's line, any other at the
// struct's. Config and kinds use it alike, at any depth.
type Validator interface{ Validate() error }

// Prechecker is implemented by a struct that can tell what will never work where
// the server is to run: a file that is not there, a directory that nobody can
// write to. Its errors are those of a Validator. It changes nothing.
type Prechecker interface{ Precheck() error }

// Warner is implemented by a struct that can tell what will fail at each use,
// though the server can run with it: a destination at an address that is always
// refused. Its errors are those of a Validator.
type Warner interface{ Warn() error }

// Validate runs the checks of the struct v, whose keys are those of the mapping n: see
// Validator, Prechecker and Warner.
func (l *Loader) Validate(n *yaml.Node, path string, v reflect.Value) {
	if l.incomplete(path) {
		return
	}
	if c, ok := v.Addr().Interface().(Validator); ok {
		l.Attribute(c.Validate(), n, path, KeysOf(FieldsOf(v.Type())))
	}
	if c, ok := v.Addr().Interface().(Prechecker); ok && l.opts.Here {
		l.Attribute(c.Precheck(), n, path, KeysOf(FieldsOf(v.Type())))
	}
	if c, ok := v.Addr().Interface().(Warner); ok && l.opts.Here {
		known := len(l.Faults)
		l.Attribute(c.Warn(), n, path, KeysOf(FieldsOf(v.Type())))
		if !l.opts.Strict {
			l.Warnings = append(l.Warnings, l.Faults[known:]...)
			l.Faults = l.Faults[:known]
		}
	}
}

var (
	fieldError  = regexp.MustCompile(`(?s)^([a-z0-9_]+(?:\.[A-Za-z0-9_-]+|\[[0-9]+\]|\["[^"]*"\])*): (.+)$`)
	pathSegment = regexp.MustCompile(`[A-Za-z0-9_-]+|"[^"]*"`)
)

// Attribute adds the leaves of err as faults of the mapping n or of the keys
// they name. What a Settings.Decode returned is taken over as it is.
func (l *Loader) Attribute(err error, n *yaml.Node, path string, keys []string) {
	for _, leaf := range leaves(err) {
		var fault *Fault
		if errors.As(leaf, &fault) {
			l.Faults = append(l.Faults, fault)
			continue
		}
		m := fieldError.FindStringSubmatch(leaf.Error())
		if m == nil || !startsWithKey(m[1], keys) {
			l.Faults = append(l.Faults, &Fault{File: l.File, Line: n.Line, Path: path, Msg: leaf.Error()})
			continue
		}
		line, at, readable := l.Find(n, path, pathSegment.FindAllString(m[1], -1))
		if readable {
			l.Faults = append(l.Faults, &Fault{File: l.File, Line: line, Path: at, Msg: m[2]})
		}
	}
}

func startsWithKey(text string, keys []string) bool {
	first := text
	if i := strings.IndexAny(text, ".["); i >= 0 {
		first = text[:i]
	}
	for _, k := range keys {
		if k == first {
			return true
		}
	}
	return false
}

// Find walks down from n: the line of the last part that the file has, the
// full path, and whether no part of it was unreadable.
func (l *Loader) Find(n *yaml.Node, path string, segments []string) (line int, at string, readable bool) {
	at, line, readable = path, n.Line, true
	for _, s := range segments {
		var next *yaml.Node
		if n != nil {
			n = deref(n)
		}
		if i, err := strconv.Atoi(s); err == nil && n != nil && n.Kind == yaml.SequenceNode {
			at = fmt.Sprintf("%s[%d]", at, i)
			if i < len(n.Content) {
				next = n.Content[i]
			}
		} else {
			key := strings.Trim(s, `"`)
			at = JoinPath(at, key)
			if n != nil && n.Kind == yaml.MappingNode {
				for _, e := range l.Entries(n, path, 0) {
					if e.Key == key || e.Key == key+"_file" {
						next = e.value
					}
				}
			}
		}
		if n = next; n != nil {
			line = deref(n).Line
		}
		readable = readable && !l.bad[at]
	}
	return line, at, readable
}

// leaves takes errors.Join and *Faults apart. Another error that wraps several
// (fmt.Errorf with two %w) is one: its text is more than theirs.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	isFaults := errors.As(err, new(*Faults))
	var all []error
	var texts []string
	for _, e := range many.Unwrap() {
		all = append(all, leaves(e)...)
		texts = append(texts, e.Error())
	}
	if !isFaults && strings.Join(texts, "\n") != err.Error() {
		return []error{err}
	}
	return all
}
