//go:build unix

package local

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// A directory that was there with mode 0755, from mkdir, systemd or an image, let
// every user of the machine read the payloads.
func TestDirectoryIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "made", "data")
	outside := filepath.Join(t.TempDir(), "outside")
	modes := func() {
		t.Helper()
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if strings.HasPrefix(path, filepath.Join(dir, "more")) {
				return err // is not ours
			}
			if err == nil && d.Type()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %s", path, info.Mode())
			}
			return err
		}))
	}
	start := func() {
		t.Helper()
		d := mustOpenDirectory(t, dir)
		db, err := pebble.Open(d.file(logName), &pebble.Options{FS: d.fs, Logger: discardLogger{}})
		must(t, err)
		must(t, db.Set([]byte("k"), []byte("v"), pebble.Sync))
		must(t, db.Flush())
		must(t, createMark(d.fs, d.file(markName), position{}))
		must(t, d.created())
		must(t, db.Close())
		must(t, d.close())
	}
	must(t, os.MkdirAll(filepath.Dir(dir), 0o777))
	start()
	modes()
	// As another version, an operator or a copy left it.
	must(t, os.Chmod(dir, 0o755))
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = os.Chmod(path, 0o666)
		}
		return err
	}))
	must(t, os.Mkdir(filepath.Join(dir, "more"), 0o777))
	must(t, os.Chmod(filepath.Join(dir, "more"), 0o2775))
	script := filepath.Join(dir, "more.sh") // a destination's file, a script of the operator's
	must(t, os.WriteFile(script, nil, 0o755))
	must(t, os.WriteFile(outside, nil, 0o600))
	must(t, os.Chmod(outside, 0o644))
	must(t, os.Symlink(outside, filepath.Join(dir, "link")))
	start()
	modes()
	if info, err := os.Stat(script); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("what is not the broker's: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("a link led out of the directory: %v, %v", info.Mode(), err)
	}
}
