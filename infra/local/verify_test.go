package local

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eventserver/infra"
)

// copyOf is what a kill leaves now: what was written to the files of a log that runs,
// which is to be idle soon. A table that Pebble deleted meanwhile was missing in the copy.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	for {
		to := filepath.Join(t.TempDir(), "copy")
		before := filesOf(t, dir)
		whole := true
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			rel, relErr := filepath.Rel(dir, path)
			var text []byte
			if err == nil && !d.IsDir() {
				text, err = os.ReadFile(path)
			}
			switch {
			case errors.Is(err, fs.ErrNotExist):
				whole = false
				return nil
			case err != nil || relErr != nil:
				return errors.Join(err, relErr)
			case d.IsDir():
				return os.MkdirAll(filepath.Join(to, rel), 0o700)
			}
			return os.WriteFile(filepath.Join(to, rel), text, 0o600)
		}))
		if whole && maps.Equal(before, filesOf(t, dir)) {
			return to
		}
	}
}

// filesOf is when the files of a directory were changed, and how long they are.
func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				files[path] = fmt.Sprint(info.ModTime(), info.Size())
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}))
	return files
}

// filled is a directory with records in tables and in write-ahead logs, as a kill
// leaves it.
func filled(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	l := open(t, Config{Dir: dir, Partitions: 2}, "a", "b")
	for round := range 3 {
		for i := range 40 {
			put(t, l, "a", int32(i%2), strings.Repeat(fmt.Sprint(round, i), 50))
		}
		if round < 2 {
			if err := l.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := copyOf(t, dir)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return at
}

// logFiles are the files of Pebble's with a prefix and a suffix, oldest first.
func logFiles(t testing.TB, dir, prefix, suffix string) (paths []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, logName, e.Name()))
		}
	}
	slices.Sort(paths)
	return paths
}

func newest(t testing.TB, dir, prefix, suffix string) string {
	t.Helper()
	paths := logFiles(t, dir, prefix, suffix)
	if len(paths) == 0 {
		t.Fatalf("there is no %s*%s in %s", prefix, suffix, dir)
	}
	return paths[len(paths)-1]
}

func editFile(t testing.TB, path string, edit func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, edit(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flipAt(at func(n int) int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at(len(b))] ^= 0x10
		return b
	}
}

// usedBytes is where the zeros begin that a write-ahead log may end with.
func usedBytes(b []byte) int { return len(strings.TrimRight(string(b), "\x00")) }

// Each of these is something that Pebble alone opens, with less than there was, or
// refuses in words that no operator understands.
func TestDamageIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		do   func(t *testing.T, dir string)
		file string // named in the error
	}{
		{"newest write-ahead log deleted", func(t *testing.T, dir string) { must(t, os.Remove(newest(t, dir, "", ".log"))) }, "log"},
		{"newest write-ahead log cut", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "", ".log"), func(b []byte) []byte { return b[:usedBytes(b)/2] })
		}, ".log"},
		{"newest write-ahead log flipped in the middle", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "", ".log"), func(b []byte) []byte { return flipAt(func(int) int { return usedBytes(b) / 2 })(b) })
		}, ".log"},
		{"newest write-ahead log flipped at its end", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "", ".log"), func(b []byte) []byte { return flipAt(func(int) int { return usedBytes(b) - 20 })(b) })
		}, ".log"},
		{"table deleted", func(t *testing.T, dir string) { must(t, os.Remove(newest(t, dir, "", ".sst"))) }, ".sst"},
		{"table cut", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "", ".sst"), func(b []byte) []byte { return b[:len(b)-1] })
		}, ".sst"},
		{"table flipped", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "", ".sst"), flipAt(func(n int) int { return n / 3 }))
		}, ".sst"},
		{"manifest deleted", func(t *testing.T, dir string) { must(t, os.Remove(newest(t, dir, "MANIFEST-", ""))) }, "MANIFEST-"},
		{"manifest cut", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "MANIFEST-", ""), func(b []byte) []byte { return b[:len(b)-10] })
		}, "log"},
		{"manifest flipped", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "MANIFEST-", ""), flipAt(func(n int) int { return n - 10 }))
		}, "log"},
		{"manifest empty", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "MANIFEST-", ""), func(b []byte) []byte { return nil })
		}, "log"},
		{"marker of the manifest deleted", func(t *testing.T, dir string) { must(t, os.Remove(newest(t, dir, "marker.manifest.", ""))) }, "marker.manifest."},
		{"marker of the version deleted", func(t *testing.T, dir string) { must(t, os.Remove(newest(t, dir, "marker.format-version.", ""))) }, "marker.format-version."},
		{"all of Pebble's deleted", func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, logName))) }, "log"},
		{"all of Pebble's files deleted", func(t *testing.T, dir string) {
			for _, path := range logFiles(t, dir, "", "") {
				must(t, os.Remove(path))
			}
		}, "marker."},
		{"mark deleted", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, markName))) }, markName},
		{"mark empty", func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, markName), 0)) }, markName},
		{"format deleted", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, formatName))) }, formatName},
		{"format flipped", func(t *testing.T, dir string) {
			editFile(t, filepath.Join(dir, formatName), flipAt(func(n int) int { return n / 2 }))
		}, formatName},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t)
			test.do(t, dir)
			before := listing(t, dir)
			for _, readOnly := range []bool{true, false} {
				l, err := Open(Config{Dir: dir, Partitions: 2, ReadOnly: readOnly})
				if err == nil {
					_ = l.Close()
					if readOnly && test.name == "table flipped" {
						continue // a reader meets it when it reads there
					}
					t.Fatalf("read only %v: it started", readOnly)
				}
				wantRefused(t, err, filepath.Join(dir, ""), test.file, "is damaged", "eventserver repair "+dir)
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("%v does not wrap ErrDamaged", err)
				}
			}
			if after := listing(t, dir); after != before {
				t.Errorf("the refusal changed the directory:\nbefore %s\nafter  %s", before, after)
			}
		})
	}
}

// listing is every file with its size.
func listing(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintf(&b, "%s %d\n", path, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What nothing depends on must not keep a server from starting.
func TestDamageThatDoesNoHarm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		do   func(t *testing.T, dir string)
	}{
		{"nothing", func(*testing.T, string) {}},
		{"options deleted", func(t *testing.T, dir string) { must(t, os.Remove(newest(t, dir, "OPTIONS-", ""))) }},
		{"options flipped", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "OPTIONS-", ""), flipAt(func(n int) int { return n / 2 }))
		}},
		{"options empty", func(t *testing.T, dir string) { must(t, os.Truncate(newest(t, dir, "OPTIONS-", ""), 0)) }},
		{"half of the mark", func(t *testing.T, dir string) {
			editFile(t, filepath.Join(dir, markName), func(b []byte) []byte { return append(make([]byte, slotSpace), b[slotSpace:]...) })
		}},
		{"behind the end of the write-ahead log", func(t *testing.T, dir string) {
			editFile(t, newest(t, dir, "", ".log"), func(b []byte) []byte {
				return flipAt(func(n int) int { return n - 1 })(append(b, make([]byte, 100)...))
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t)
			test.do(t, dir)
			for _, readOnly := range []bool{true, false, true} {
				l, err := Open(Config{Dir: dir, Partitions: 2, ReadOnly: readOnly, Damaged: func(e *infra.DamageError) { t.Error(e) }})
				must(t, err)
				for p := range int32(2) {
					if n := len(readAll(t, l, "a", p, 0)); n != 60 {
						t.Errorf("read only %v: partition %d has %d records", readOnly, p, n)
					}
				}
				must(t, l.Close())
			}
		})
	}
}

// With broker.sync false a crash of the machine may take the end of the log: the
// start tells and goes on. What is not its end is damage there too.
func TestUnsyncedEndIsToldNotRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{Dir: dir, Partitions: 1, NoSync: true}
	l := open(t, cfg, "a")
	for i := range 20 {
		put(t, l, "a", 0, fmt.Sprint(i))
	}
	at := copyOf(t, dir)
	must(t, l.Close())
	editFile(t, newest(t, at, "", ".log"), func(b []byte) []byte { return b[:usedBytes(b)-100] })
	cfg.Dir = at
	for range 2 {
		l, err := Open(cfg)
		must(t, err)
		n := len(readAll(t, l, "a", 0, 0))
		if n == 0 || n >= 21 {
			t.Errorf("%d records", n)
		}
		put(t, l, "a", 0, "more")
		must(t, l.Close())
	}
}
