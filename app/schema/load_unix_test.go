//go:build unix

package schema

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

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
