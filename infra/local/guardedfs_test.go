//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eventserver/infra"
)

// heldCases are what may happen to a directory under a running server. parent holds
// it as data.
var heldCases = []struct {
	name string
	link bool // data is a symbolic link to parent/behind
	do   func(t *testing.T, parent, data string)
	undo func(t *testing.T, parent, data string) // nil: what was there is gone
}{
	{name: "moved",
		do:   func(t *testing.T, parent, data string) { must(t, os.Rename(data, filepath.Join(parent, "moved"))) },
		undo: func(t *testing.T, parent, data string) { must(t, os.Rename(filepath.Join(parent, "moved"), data)) }},
	{name: "deleted", do: func(t *testing.T, _, data string) { removeAll(t, data) }},
	{name: "emptied", do: func(t *testing.T, _, data string) {
		for _, name := range entries(t, data) {
			removeAll(t, filepath.Join(data, name))
		}
	}},
	{name: "replaced",
		do: func(t *testing.T, parent, data string) {
			moved := filepath.Join(parent, "moved")
			must(t, os.Rename(data, moved))
			must(t, os.Rename(copyOf(t, moved), data))
		},
		undo: func(t *testing.T, parent, data string) {
			must(t, os.RemoveAll(data))
			must(t, os.Rename(filepath.Join(parent, "moved"), data))
		}},
	{name: "replaced by links", // as cp -al does: every file is the same, the directory is not
		do: func(t *testing.T, parent, data string) {
			moved := filepath.Join(parent, "moved")
			must(t, os.Rename(data, moved))
			must(t, filepath.WalkDir(moved, func(path string, d fs.DirEntry, err error) error {
				below, _ := filepath.Rel(moved, path)
				if err == nil && d.IsDir() {
					return os.MkdirAll(filepath.Join(data, below), 0o700)
				}
				if err == nil {
					err = os.Link(path, filepath.Join(data, below))
				}
				if errors.Is(err, fs.ErrNotExist) { // Pebble's cleaning
					err = nil
				}
				return err
			}))
		},
		undo: func(t *testing.T, parent, data string) {
			must(t, os.RemoveAll(data))
			must(t, os.Rename(filepath.Join(parent, "moved"), data))
		}},
	{name: "content replaced",
		do: func(t *testing.T, parent, data string) {
			moved := filepath.Join(parent, "moved")
			must(t, os.Mkdir(moved, 0o700))
			for _, name := range entries(t, data) {
				moveFile(t, filepath.Join(data, name), filepath.Join(moved, name))
			}
			copied := copyOf(t, moved)
			for _, name := range entries(t, copied) {
				must(t, os.RemoveAll(filepath.Join(data, name)))
				moveFile(t, filepath.Join(copied, name), filepath.Join(data, name))
			}
		},
		undo: func(t *testing.T, parent, data string) {
			for _, name := range entries(t, data) {
				must(t, os.RemoveAll(filepath.Join(data, name)))
				moveFile(t, filepath.Join(parent, "moved", name), filepath.Join(data, name))
			}
		}},
	{name: "log emptied", do: func(t *testing.T, _, data string) {
		log := filepath.Join(data, logName)
		for _, name := range entries(t, log) {
			removeAll(t, filepath.Join(log, name))
		}
	}},
	{name: "link turned", link: true,
		do: func(t *testing.T, parent, data string) {
			must(t, os.Mkdir(filepath.Join(parent, "other"), 0o700))
			must(t, os.Remove(data))
			must(t, os.Symlink("other", data))
		},
		undo: func(t *testing.T, _, data string) {
			must(t, os.Remove(data))
			must(t, os.Symlink("behind", data))
		}},
	{name: "parent renamed",
		do:   func(t *testing.T, parent, _ string) { must(t, os.Rename(parent, parent+" renamed")) },
		undo: func(t *testing.T, parent, _ string) { must(t, os.Rename(parent+" renamed", parent)) }},
}

// removeAll removes what a server that runs still adds to.
func removeAll(t *testing.T, path string) {
	t.Helper()
	wait(t, "end of "+path, func() bool { return os.RemoveAll(path) == nil })
}

// moveFile renames what a server that runs may have removed meanwhile.
func moveFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		must(t, err)
	}
}

// After `mv data moved` a server went on with paths below data, which were another
// server's by then; after `rm -rf data` it went on accepting. Pebble's goroutines
// stay in the error for ever, so each case has a process of its own.
func TestDirectoryIsNoLongerThere(t *testing.T) {
	const env = "LOCAL_TEST_HELD"
	if name := os.Getenv(env); name != "" {
		what, meets, _ := strings.Cut(name, ", ")
		for _, c := range heldCases {
			if c.name != what {
				continue
			}
			parent := filepath.Join(t.TempDir(), "parent")
			data := filepath.Join(parent, "data")
			must(t, os.Mkdir(parent, 0o700))
			if c.link {
				must(t, os.Mkdir(filepath.Join(parent, "behind"), 0o700))
				must(t, os.Symlink("behind", data))
			}
			undo := func() {}
			if c.undo != nil {
				undo = func() { c.undo(t, parent, data) }
			}
			noLongerThere(t, data, meets, func() { c.do(t, parent, data) }, undo, c.undo != nil)
		}
		os.Exit(map[bool]int{true: 1}[t.Failed()]) // before goleak looks
	}
	t.Parallel()
	for _, c := range heldCases {
		for _, meets := range []string{"append", "ping", "flush", "read"} {
			if (meets == "flush" || meets == "read") && c.name != "moved" && c.name != "emptied" {
				continue
			}
			name := c.name + ", " + meets
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ownProcess(t, "TestDirectoryIsNoLongerThere", env+"="+name)
			})
		}
	}
}

// noLongerThere checks what a log does when meets is what it does first after its
// directory has gone.
func noLongerThere(t *testing.T, data, meets string, do, undo func(), back bool) {
	cfg := Config{Dir: data, Partitions: 1, verify: -1}
	l := open(t, cfg, "a")
	var want []string
	for range 3 { // a table each: the first is not opened by the next start
		value := strings.Repeat("x", 1000)
		put(t, l, "a", 0, value)
		must(t, l.db.Flush())
		want = append(want, value)
	}
	must(t, l.Close())
	fatal := make(chan error, 10)
	cfg.Fatal = func(err error) { fatal <- err }
	cfg.Damaged = func(d *infra.DamageError) { t.Errorf("damage was told: %v", d) }
	l = open(t, cfg)
	c, err := l.Open(t.Context(), "a", 0, 0)
	must(t, err)

	do()
	gone := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
			return
		}
		wantRefused(t, err, "broker.dir: "+data+" is no longer the directory that this server opened", "moved, deleted or replaced", "put it back and start again")
	}
	put := func() error {
		return l.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 0, "late")}})
	}
	switch meets {
	case "append":
		gone("append", put())
	case "ping":
		gone("ping", l.Ping(t.Context()))
	case "flush": // what Pebble does by itself
		db := l.db
		go func() { _, _ = db.AsyncFlush() }() // it may never return
	case "read":
		for range want { // what is open can be read
			if _, err = c.Read(t.Context(), 1); err != nil {
				break
			}
		}
		if err == nil { // Pebble has opened every table for its statistics
			err = l.Ping(t.Context())
		}
		gone("read", err)
	}
	gone("fatal", <-fatal)
	gone("append", put())
	gone("step", l.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 0, "late")}, Durability: infra.Step}))
	gone("keep", l.Keep(t.Context(), infra.Progressed{Group: "g", Topic: "a"}))
	_, err = c.Read(t.Context(), 1)
	gone("read", err)
	gone("ping", l.Ping(t.Context()))
	gone("close", l.Close())
	if len(fatal) > 0 {
		t.Errorf("told twice: %v", <-fatal)
	}
	undo()
	if !back {
		return
	}
	l = open(t, Config{Dir: data, Partitions: 1})
	if got := values(readAll(t, l, "a", 0, 0)); !slices.Equal(got[:len(want)], want) {
		t.Errorf("it was put back and has %q", got)
	}
	must(t, l.Close())
}

// A second server started on the path that the first one's directory was moved from,
// and the first wrote its files over the second's.
func TestMovedDirectoryAndAnotherServer(t *testing.T) {
	const env = "LOCAL_TEST_HELD_TWO"
	if os.Getenv(env) != "" {
		movedAndAnother(t)
		os.Exit(map[bool]int{true: 1}[t.Failed()]) // before goleak looks
	}
	t.Parallel()
	ownProcess(t, "TestMovedDirectoryAndAnotherServer", env+"=1")
}

func movedAndAnother(t *testing.T) {
	parent := t.TempDir()
	data, moved := filepath.Join(parent, "data"), filepath.Join(parent, "moved")
	first := open(t, Config{Dir: data, Partitions: 1}, "a")
	put(t, first, "a", 0, "first")
	must(t, os.Rename(data, moved))
	second := open(t, Config{Dir: data, Partitions: 1, Fatal: func(err error) { t.Error(err) }}, "a")
	put(t, second, "a", 0, "second")

	big := strings.Repeat("x", 1<<20) // so many that files are made and deleted
	for range 40 {
		for _, d := range []infra.Durability{infra.Step, infra.Durable} {
			if first.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 0, big)}, Durability: d}) == nil && d == infra.Durable {
				t.Fatal("the first server accepted something")
			}
		}
	}
	wantRefused(t, first.Close(), data, "no longer the directory")
	put(t, second, "a", 0, "more")
	must(t, second.Close())
	second = open(t, Config{Dir: data})
	if got := values(readAll(t, second, "a", 0, 0)); !slices.Equal(got, []string{"second", "more"}) {
		t.Errorf("the second server has %d records", len(got))
	}
	must(t, second.Close())
	first = open(t, Config{Dir: moved})
	if got := values(readAll(t, first, "a", 0, 0)); len(got) == 0 || got[0] != "first" {
		t.Errorf("the first server has %d records", len(got))
	}
	must(t, first.Close())
}
