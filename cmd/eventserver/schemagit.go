package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"eventserver/app/schema"
)

// schemasAt loads a directory, or one of a commit: git:REVISION[:PATH].
func schemasAt(ctx context.Context, where string) (reg *schema.Registry, err error) {
	rest, ok := strings.CutPrefix(where, "git:")
	if !ok {
		return schema.Load(where)
	}
	rev, path, given := strings.Cut(rest, ":")
	if !given {
		path = "schemas"
	}
	dir, err := os.MkdirTemp("", "eventserver-schemas-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := checkout(ctx, dir, rev+":"+path); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return schema.LoadFS(os.DirFS(dir), where)
}

// checkout writes the files of a commit's directory (REVISION:PATH) below dir.
func checkout(ctx context.Context, dir, tree string) error {
	id, err := git(ctx, "", "rev-parse", "--verify", "--quiet", "--end-of-options", tree)
	if err != nil {
		return fmt.Errorf("git knows no such directory; give git:REVISION:PATH with a path from the top of the repository, such as git:HEAD:schemas: %w", err)
	}
	// In a subdirectory git archive writes that one alone.
	top, err := git(ctx, "", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	// By its id, so that nothing in a name is taken for a flag.
	archive, err := git(ctx, strings.TrimSpace(string(top)), "archive", "--format=tar", strings.TrimSpace(string(id)))
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // no name in the archive leads out of it
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // each file is closed by itself
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg { // links may lead anywhere, as Load says
			continue
		}
		name := filepath.FromSlash(h.Name)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := root.WriteFile(name, data, 0o600); err != nil {
			return err
		}
	}
}

func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // no shell; names stand behind --end-of-options
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if said := strings.TrimSpace(stderr.String()); err != nil && said != "" {
		err = fmt.Errorf("git %s: %w: %s", args[0], err, said)
	} else if err != nil {
		err = fmt.Errorf("git %s: %w", args[0], err)
	}
	return out, err
}
