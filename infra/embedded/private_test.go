//go:build unix

package embedded

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A directory that was there with mode 0755, from mkdir, systemd or an image,
// let every user of the machine read the payloads.
func TestDirectoryIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "made", "data")
	outside := filepath.Join(t.TempDir(), "outside")
	modes := func() {
		t.Helper()
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && d.Type()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %s", path, info.Mode())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	start := func() {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
			t.Fatal(err)
		}
		lock, err := lockDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lock.Close() }()
		if err := makePrivate(dir, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	start()
	modes()
	// As another version, an operator or a copy left it.
	for name, mode := range map[string]fs.FileMode{"broker": 0o755, "broker/partitions": 0o777, "broker/partitions/events-0": 0o2775} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{outside, filepath.Join(dir, "commits.journal"), filepath.Join(dir, "broker.addr"), filepath.Join(dir, "broker/partitions/events-0/0.dat")} {
		if err := os.WriteFile(path, []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "lock")} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	start()
	modes()
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("a link was followed: %v, %v", info.Mode(), err)
	}
}
