package file

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A file that was deleted or renamed under the destination was written on:
// deliveries counted as done went into an inode without a name.
func TestMovedAwayIsBegunAnew(t *testing.T) {
	for name, c := range map[string]struct {
		move  func(t *testing.T, dir, path string)
		after string // what is at the path in the end
	}{
		"deleted":               {func(t *testing.T, _, path string) { must(t, os.Remove(path)) }, "\"b\"\n\"c\"\n"},
		"directory deleted":     {func(t *testing.T, dir, _ string) { must(t, os.RemoveAll(dir)) }, "\"b\"\n\"c\"\n"},
		"renamed, by logrotate": {func(t *testing.T, _, path string) { must(t, os.Rename(path, path+".1")) }, "\"b\"\n\"c\"\n"},
		"directory renamed":     {func(t *testing.T, dir, _ string) { must(t, os.Rename(dir, dir+".old")) }, "\"b\"\n\"c\"\n"},
		"renamed, and another made": {func(t *testing.T, _, path string) {
			must(t, os.Rename(path, path+".1"), os.WriteFile(path, []byte("new\n"), 0o600))
		}, "new\n\"b\"\n\"c\"\n"},
		"emptied, by logrotate with copytruncate": {func(t *testing.T, _, path string) { must(t, os.Truncate(path, 0)) }, "\"b\"\n\"c\"\n"},
		"cut off in a line":                       {func(t *testing.T, _, path string) { must(t, os.Truncate(path, 2)) }, "\"a\n\"b\"\n\"c\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "archive", "today")
			path := filepath.Join(dir, "events.jsonl")
			d := open(t, Config{Path: path})
			send(t, d, "a")
			c.move(t, dir, path)
			send(t, d, "b", "c")
			if got := content(t, path); got != c.after {
				t.Errorf("%q, want %q", got, c.after)
			}
			for _, old := range []string{path + ".1", filepath.Join(dir+".old", "events.jsonl")} {
				if b, err := os.ReadFile(old); err == nil && string(b) != "\"a\"\n" {
					t.Errorf("%s has %q", old, b)
				}
			}
		})
	}
}

// What is deleted between the write and its sync is written once more.
func TestDeletedWhileWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	var f faulty
	d := startFaulty(t, Config{Path: path}, &f)
	t.Cleanup(func() { _ = d.Close() })
	f.sync = func() error {
		f.sync = nil
		return os.Remove(path)
	}
	send(t, d, "a")
	if got := content(t, path); got != "\"a\"\n" {
		t.Errorf("%q", got)
	}
}

// A line that could not be written whole is not left behind in a file that
// somebody moved away.
func TestMovedAwayHasWholeLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	var f faulty
	d := startFaulty(t, Config{Path: path}, &f)
	t.Cleanup(func() { _ = d.Close() })
	send(t, d, "a")
	f.write = func(p []byte) (int, error) {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, syscall.ENOSPC
	}
	f.truncate = func() error { return syscall.EIO }
	if err := d.Deliver(t.Context(), delivery("b", `"bbbb"`)); err == nil {
		t.Fatal("a full disk took it")
	}
	f.write, f.truncate = nil, nil
	must(t, os.Rename(path, path+".1"))
	send(t, d, "b")
	if got := content(t, path+".1"); got != "\"a\"\n" {
		t.Errorf("moved away: %q", got)
	}
	if got := content(t, path); got != "\"b\"\n" {
		t.Errorf("%q", got)
	}
}

// A directory that vanished made each rotation fail, and with it each delivery.
func TestRotationMakesTheDirectoryAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	must(t, os.Mkdir(dir, 0o750))
	path := filepath.Join(dir, "e.jsonl")
	now := time.Now()
	j := clocked(t, Config{Path: path, MaxBytes: 3}, &now)
	put(t, j, "11")
	must(t, os.RemoveAll(dir))
	put(t, j, "22")
	if got := content(t, path); got != "22\n" {
		t.Errorf("%q", got)
	}

	real := j.openFile
	j.openFile = func(path string) (file, error) { // after the rename
		must(t, os.RemoveAll(dir))
		return real(path)
	}
	if n, err := j.append([][]byte{[]byte("33\n")}); n != 0 || err == nil {
		t.Fatalf("%d, %v", n, err)
	}
	j.openFile = real
	put(t, j, "33")
	if got := content(t, path); got != "33\n" {
		t.Errorf("%q", got)
	}
}

// What the path names by now may be nothing to write to.
func TestMovedAwayForSomethingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	d := open(t, Config{Path: path})
	send(t, d, "a")
	must(t, os.Remove(path), os.Mkdir(path, 0o750))
	if err := d.Deliver(t.Context(), delivery("b", `"b"`)); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("%v", err)
	}
	must(t, os.Remove(path))
	send(t, d, "b")
	if got := content(t, path); got != "\"b\"\n" {
		t.Errorf("%q", got)
	}
}
