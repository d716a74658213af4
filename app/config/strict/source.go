package strict

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"eventserver/app/textfile"
	"eventserver/destinations"
)

// Beside a path, Load takes Stdin and EnvPrefix with the name of a variable that
// holds the YAML itself. A file of such a name is written with ./ before it.
const (
	Stdin     = "-"
	EnvPrefix = "env:"
)

// Once says why source cannot be read a second time: its content is gone, or
// cannot change while the process runs. nil: it is a file.
func Once(source string) error {
	const cure = "so there is nothing to read again; give the server a file with --config FILE to be able to reload, or start it again"
	switch {
	case source == Stdin:
		return errors.New("the server read its configuration from standard input, " + cure)
	case strings.HasPrefix(source, EnvPrefix):
		return fmt.Errorf("the server read its configuration from the environment variable %s, which others cannot change, %s", strings.TrimPrefix(source, EnvPrefix), cure)
	}
	return nil
}

// Content reads a source; name stands for it in faults.
func Content(source string, regular bool) (name string, src []byte, err error) {
	switch variable, inVariable := strings.CutPrefix(source, EnvPrefix); {
	case source == Stdin:
		src, err = io.ReadAll(io.LimitReader(os.Stdin, textfile.MaxBytes+1))
		return "standard input", src, err
	case inVariable:
		text, ok := os.LookupEnv(variable)
		if !ok {
			return source, nil, errors.New("the variable is not set")
		}
		return source, []byte(text), nil
	}
	open := os.Open
	if regular {
		open = destinations.OpenFile
	}
	src, err = read(source, open)
	return source, src, err
}

func read(path string, open func(string) (*os.File, error)) ([]byte, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	return io.ReadAll(io.LimitReader(file, textfile.MaxBytes+1))
}
