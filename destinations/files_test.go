//go:build unix

package destinations

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What a configuration names is read when it is a file of a sane size, and
// nothing else is: a pipe waited for its writer.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(at("file"), []byte("text"), 0o600))
	must(os.WriteFile(at("empty"), nil, 0o600))
	must(os.WriteFile(at("huge"), nil, 0o600))
	must(os.Truncate(at("huge"), MaxFile+1))
	must(os.Mkdir(at("dir"), 0o700))
	must(syscall.Mkfifo(at("pipe"), 0o600))
	must(os.Symlink("file", at("link")))
	must(os.Symlink("pipe", at("link to pipe")))
	must(os.Symlink("/dev/zero", at("link to device")))
	must(os.Symlink("loop", at("loop")))
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	must(err)
	defer func() { _ = syscall.Close(fd) }()
	must(syscall.Bind(fd, &syscall.SockaddrUnix{Name: at("s")}))
	for name, want := range map[string]error{
		"file": nil, "empty": nil, "link": nil, "missing": fs.ErrNotExist, "dir": ErrNotRegular, "pipe": ErrNotRegular, "s": ErrNotRegular,
		"link to pipe": ErrNotRegular, "link to device": ErrNotRegular, "loop": syscall.ELOOP,
	} {
		text, err := ReadFile(at(name))
		if !errors.Is(err, want) || err == nil && name != "empty" && string(text) != "text" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	var path *fs.PathError
	if _, err := ReadFile(at("huge")); !errors.As(err, &path) || path.Path != at("huge") {
		t.Errorf("huge: %v", err)
	}
}
