package local

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var quiet = slog.New(slog.DiscardHandler)

func mustOpenDirectory(t *testing.T, path string) *directory {
	t.Helper()
	d, err := openDirectory(path, nil, useOrCreate, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantRefused checks that an error has all the words.
func wantRefused(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("it was not refused")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

// A tidy-up deleted the lock file of a running server, and a second server wrote to
// the same files.
func TestLockHoldsWhateverIsDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	d := mustOpenDirectory(t, path)
	entries, err := os.ReadDir(path)
	must(t, err)
	for _, e := range entries {
		must(t, os.RemoveAll(filepath.Join(path, e.Name())))
	}
	for _, u := range []use{useOrCreate, useExisting, useReadOnly} {
		_, err = openDirectory(path, nil, u, quiet)
		wantRefused(t, err, path, "in use by another eventserver")
		if !errors.Is(err, ErrLocked) {
			t.Errorf("%v does not wrap ErrLocked", err)
		}
	}
	must(t, d.close())
	must(t, mustOpenDirectory(t, path).close())
}

func TestReadersShareADirectory(t *testing.T) {
	path := t.TempDir()
	d := mustOpenDirectory(t, path)
	must(t, d.created())
	must(t, d.close())
	a, err := openDirectory(path, nil, useReadOnly, quiet)
	must(t, err)
	b, err := openDirectory(path, nil, useReadOnly, quiet)
	must(t, err)
	must(t, b.close())
	_, err = openDirectory(path, nil, useOrCreate, quiet)
	if !errors.Is(err, ErrLocked) {
		t.Errorf("a server started beside a reader: %v", err)
	}
	must(t, a.close())
}

// What is there decides whether this is a first start.
func TestFirstStartOnlyWhereNothingWas(t *testing.T) {
	fill := func(t *testing.T, path string, names ...string) {
		t.Helper()
		for _, name := range names {
			file := filepath.Join(path, name)
			must(t, os.MkdirAll(filepath.Dir(file), 0o700))
			must(t, os.WriteFile(file, []byte("x"), 0o600))
		}
	}
	open := func(path string) (fresh bool, err error) {
		d, err := openDirectory(path, nil, useOrCreate, quiet)
		if err != nil {
			return false, err
		}
		return d.fresh, d.close()
	}
	t.Run("empty", func(t *testing.T) {
		path := t.TempDir()
		if fresh, err := open(path); !fresh || err != nil {
			t.Errorf("fresh %v, %v", fresh, err)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		path := t.TempDir()
		must(t, mustOpenDirectory(t, path).close())
		fill(t, path, "log/MANIFEST-000001", "mark")
		if fresh, err := open(path); !fresh || err != nil {
			t.Errorf("fresh %v, %v", fresh, err)
		}
		for _, name := range []string{"log", "mark"} {
			if _, err := os.Stat(filepath.Join(path, name)); err == nil {
				t.Errorf("%s of the start that was cut short is still there", name)
			}
		}
	})
	t.Run("ready", func(t *testing.T) {
		path := t.TempDir()
		d := mustOpenDirectory(t, path)
		must(t, d.created())
		must(t, d.close())
		if fresh, err := open(path); fresh || err != nil {
			t.Errorf("fresh %v, %v", fresh, err)
		}
		format := filepath.Join(path, formatName)
		text, err := os.ReadFile(format)
		must(t, err)
		for i := range text {
			for _, bad := range [][]byte{text[:i], append(append(bytes.Clone(text[:i]), text[i]^0x20), text[i+1:]...)} {
				must(t, os.WriteFile(format, bad, 0o600))
				_, err := open(path)
				wantRefused(t, err, format, "eventserver repair "+path)
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("%v does not wrap ErrDamaged", err)
				}
			}
		}
	})
	for _, there := range []string{"log/000004.log", "mark"} {
		t.Run("no format, "+there, func(t *testing.T) {
			path := t.TempDir()
			fill(t, path, there)
			_, err := open(path)
			wantRefused(t, err, filepath.Join(path, formatName), "missing", "eventserver repair "+path)
			if _, err := os.Stat(filepath.Join(path, there)); err != nil {
				t.Error("the refusal changed something:", err)
			}
		})
	}
	for _, there := range []string{"broker/meta.json", "commits.journal"} {
		t.Run("of an older release, "+there, func(t *testing.T) {
			path := t.TempDir()
			fill(t, path, there)
			_, err := open(path)
			wantRefused(t, err, path, "an older release", "start that release", "move the directory away")
		})
	}
	t.Run("of a newer release", func(t *testing.T) {
		path := t.TempDir()
		text := strings.Replace(formatText(formatReady, testTime), "version 1", "version 2", 1)
		text = text[:strings.LastIndex(text, "crc32c")]
		must(t, os.WriteFile(filepath.Join(path, formatName), []byte(withChecksum(text)), 0o600))
		_, err := open(path)
		wantRefused(t, err, "newer release")
	})
	for _, u := range []use{useExisting, useReadOnly} {
		t.Run(fmt.Sprint("use ", u), func(t *testing.T) {
			path := t.TempDir()
			must(t, os.Chmod(path, 0o755))
			fill(t, path, "another's")
			must(t, os.Chmod(filepath.Join(path, "another's"), 0o644))
			_, err := openDirectory(path, nil, u, quiet)
			wantRefused(t, err, path, "no server has stored anything")
			for name, mode := range map[string]os.FileMode{"": 0o755, "another's": 0o644} {
				if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Mode().Perm() != mode {
					t.Errorf("%q: %v, %v", name, info, err)
				}
			}
			if got := entries(t, path); len(got) != 1 {
				t.Errorf("it left %q", got)
			}
			missing := filepath.Join(path, "missing")
			if _, err := openDirectory(missing, nil, u, quiet); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a missing directory: %v", err)
			}
			if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it was made: %v", err)
			}
		})
	}
}

func TestFormatIsReplacedWhole(t *testing.T) {
	mem := vfs.NewCrashableMem()
	must(t, mem.MkdirAll("d", 0o700))
	must(t, syncDir(mem, ""))
	must(t, writeFormat(mem, "d", formatNew))
	must(t, writeFormat(mem, "d", formatReady))
	state, err := readFormat(mem.CrashClone(vfs.CrashCloneCfg{}), "d/format")
	if err != nil || state != formatReady {
		t.Errorf("after a crash: %q, %v", state, err)
	}
}

var testTime = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
