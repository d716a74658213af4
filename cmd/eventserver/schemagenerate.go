package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"eventserver/app/schema"
	"eventserver/app/schema/gogen"
)

func schemaGenerate(_ context.Context, args []string, stdout, stderr io.Writer) error {
	var dir, out, pkg string
	var check bool
	var set *flag.FlagSet
	if _, err := parse("schema generate", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		set = fs
		dirFlag(fs, &dir)
		fs.StringVar(&out, "out", "", "directory to write to (default events, in that of the schemas)")
		fs.StringVar(&pkg, "package", "", "name of the Go package (default that of its directory)")
		fs.BoolVar(&check, "check", false, "write nothing; fail when what is there is out of date")
	}); err != nil {
		return err
	}
	if out == "" {
		out = filepath.Join(dir, "events")
	}
	if pkg == "" {
		abs, err := filepath.Abs(out)
		if err != nil {
			return err
		}
		pkg = filepath.Base(abs)
	}
	reg, err := schema.Load(dir)
	if err != nil {
		return err
	}
	src, err := gogen.File(reg, pkg)
	if err != nil {
		return err
	}
	path := filepath.Join(out, "events.go")
	old, err := os.ReadFile(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case check && !bytes.Equal(old, src):
		return fmt.Errorf("%s is not what the schemas in %s say; run: %s", path, dir, shellLine("eventserver schema generate", given(set, "check")...))
	case check:
		return nil
	case err == nil && !bytes.HasPrefix(old, []byte(gogen.Header)):
		return fmt.Errorf("%s is not a generated file; give another directory with --out", path)
	}
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // source files, read by all who build
		return err
	}
	if err := os.WriteFile(path, src, 0o644); err != nil { //nolint:gosec // as above
		return err
	}
	_, err = fmt.Fprintln(stdout, "wrote", path)
	return err
}
