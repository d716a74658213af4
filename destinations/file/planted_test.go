//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"eventserver/destinations/destinationtest"
)

// What others put into the directory under the names of older files stops no
// rotation, is not written over, and costs no older file its place.
func TestPlantedNamesStopNoRotation(t *testing.T) {
	const next = "e.20260102T030405Z-000001.jsonl"
	for name, plant := range map[string]func(t *testing.T, dir string){
		"a file of the end of time": func(t *testing.T, dir string) { plantFile(t, dir, "e.99991231T235959Z-999999.jsonl") },
		"no time at all":            func(t *testing.T, dir string) { plantFile(t, dir, "e.99999999T999999Z-999999.jsonl") },
		"tomorrow's last":           func(t *testing.T, dir string) { plantFile(t, dir, "e.20260103T020000Z-999999.jsonl") },
		"this second's last":        func(t *testing.T, dir string) { plantFile(t, dir, "e.20260102T030405Z-999999.jsonl") },
		"the next name":             func(t *testing.T, dir string) { plantFile(t, dir, next) },
		"the next name, unwritable": func(t *testing.T, dir string) {
			plantFile(t, dir, next)
			must(t, os.Chmod(filepath.Join(dir, next), 0))
		},
		"a directory": func(t *testing.T, dir string) { must(t, os.MkdirAll(filepath.Join(dir, next, "full"), 0o700)) },
		"directories of the last numbers": func(t *testing.T, dir string) {
			for n := 999_990; n <= 999_999; n++ {
				must(t, os.Mkdir(filepath.Join(dir, fmt.Sprintf("e.20260102T030405Z-%06d.jsonl", n)), 0o700))
			}
		},
		"a dangling link":  func(t *testing.T, dir string) { must(t, os.Symlink("/nowhere/at/all", filepath.Join(dir, next))) },
		"a link to itself": func(t *testing.T, dir string) { must(t, os.Symlink(next, filepath.Join(dir, next))) },
		"a link to a file": func(t *testing.T, dir string) {
			plantFile(t, dir, "victim")
			must(t, os.Symlink("victim", filepath.Join(dir, next)))
		},
		"a FIFO": func(t *testing.T, dir string) { must(t, syscall.Mkfifo(filepath.Join(dir, next), 0o600)) },
		"many of them": func(t *testing.T, dir string) {
			for n := 1; n <= 300; n++ {
				must(t, os.Symlink("x", filepath.Join(dir, fmt.Sprintf("e.20260102T030405Z-%06d.jsonl", n))))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			plant(t, dir)
			before := map[string]bool{}
			for _, n := range names(t, dir) {
				before[n] = true
			}
			j := clocked(t, Config{Path: filepath.Join(dir, "e.jsonl"), MaxBytes: 3}, &now)
			for i := range 6 {
				put(t, j, fmt.Sprint(10+i))
			}
			var all strings.Builder
			for _, n := range names(t, dir) { // sorted: by age
				if !before[n] {
					all.WriteString(content(t, filepath.Join(dir, n)))
				}
				delete(before, n)
			}
			if all.String() != "10\n11\n12\n13\n14\n15\n" {
				t.Errorf("lines %q", all.String())
			}
			if len(before) > 0 {
				t.Errorf("written over: %v", before)
			}
		})
	}
}

func plantFile(t *testing.T, dir, name string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte("planted\n"), 0o600))
}

// Files of the future take no place among those to keep.
func TestPlantedNamesCostNoOlderFile(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, name := range []string{"e.99991231T235959Z-999999.jsonl", "e.20300101T000000Z-000001.jsonl", "e.99999999T999999Z-000001.jsonl"} {
		plantFile(t, dir, name)
	}
	j := clocked(t, Config{Path: filepath.Join(dir, "e.jsonl"), MaxBytes: 3, Keep: 2}, &now)
	put(t, j, "11", "22", "33", "44")
	if got := names(t, dir); len(got) != 6 || content(t, filepath.Join(dir, got[0])) != "22\n" || content(t, filepath.Join(dir, got[1])) != "33\n" {
		t.Errorf("%q", got)
	}
}

// What stands at the path itself and is no file of ours is refused, at once, also
// where it comes while the destination runs.
func TestPlantedAtThePath(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(t *testing.T, path string)
		says  string
	}{
		"a link to a file": {func(t *testing.T, path string) {
			plantFile(t, filepath.Dir(path), "victim")
			must(t, os.Symlink("victim", path))
		}, "is a symbolic link"},
		"a dangling link":  {func(t *testing.T, path string) { must(t, os.Symlink("victim", path)) }, "is a symbolic link"},
		"a link to itself": {func(t *testing.T, path string) { must(t, os.Symlink(filepath.Base(path), path)) }, "is a symbolic link"},
		"a FIFO":           {func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o600)) }, "is not a regular file"},
		"a directory":      {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, "is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "e.jsonl")
			c.plant(t, path)
			if _, err := New("archive", Config{Path: path}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("at the start: %v", err)
			}
			// Below the first look, which somebody may have overtaken.
			if _, err := openFile(path); err == nil {
				t.Error("openFile takes it")
			}
			must(t, os.RemoveAll(path))
			_ = os.Remove(filepath.Join(filepath.Dir(path), "victim"))
			d := open(t, Config{Path: path})
			send(t, d, "a")
			must(t, os.Rename(path, path+".1"))
			c.plant(t, path)
			ctx, cancel := context.WithTimeout(t.Context(), destinationtest.Soon)
			defer cancel()
			err := d.Deliver(ctx, delivery("b", `"b"`))
			if got := destinationtest.Verdict(err); got != "unavailable" || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", got, err)
			}
			if victim, err := os.ReadFile(filepath.Join(filepath.Dir(path), "victim")); err == nil && string(victim) != "planted\n" {
				t.Errorf("the link's file has %q", victim)
			}
			must(t, os.RemoveAll(path))
			send(t, d, "b")
		})
	}
}

// Directories may be links.
func TestLinkedDirectoryIsFollowed(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o700), os.Symlink("real", filepath.Join(dir, "link")))
	send(t, open(t, Config{Path: filepath.Join(dir, "link", "e.jsonl")}), "a")
	if got := content(t, filepath.Join(dir, "real", "e.jsonl")); got != "\"a\"\n" {
		t.Errorf("%q", got)
	}
}

// What the destination makes is for its owner alone, whatever the umask; what was
// there keeps its mode.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o755))
			old := syscall.Umask(umask)
			defer syscall.Umask(old)
			now := time.Now()
			j := clocked(t, Config{Path: filepath.Join(dir, "a", "b", "e.jsonl"), MaxBytes: 3}, &now)
			put(t, j, "11", "22")
			want := map[string]os.FileMode{dir: 0o755, filepath.Join(dir, "a"): 0o700, filepath.Join(dir, "a", "b"): 0o700}
			for _, name := range names(t, filepath.Join(dir, "a", "b")) {
				want[filepath.Join(dir, "a", "b", name)] = 0o600
			}
			if len(want) != 5 {
				t.Fatalf("%v", want)
			}
			for path, mode := range want {
				info, err := os.Stat(path)
				if err != nil || info.Mode().Perm() != mode {
					t.Errorf("%s: %v, %v; want %o", path, info.Mode(), err, mode)
				}
			}
		})
	}
	path := filepath.Join(t.TempDir(), "e.jsonl")
	must(t, os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o640))
	send(t, open(t, Config{Path: path}), "a")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
