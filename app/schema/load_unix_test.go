//go:build unix

package schema

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Nor a directory of schemas: a reload did not come back.
func TestPipeIsNoDirectoryOfSchemas(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "schemas")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := Load(fifo); err == nil || !strings.Contains(err.Error(), "cannot be read: not a directory; give the directory of the schemas") {
		t.Error(err)
	}
	reg, err := Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, testdata), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.TestEvents(dir); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Error(err)
	}
}

// To open a pipe waits for a writer, and no signal ended it.
func TestPipeIsNoSchema(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "f.yaml"), 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "f.yaml: cannot be read: is no regular file") {
		t.Error(err)
	}
}
