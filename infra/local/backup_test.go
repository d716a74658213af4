package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"eventserver/infra"
)

// A backup of a log that is written to has everything that was accepted before it
// began.
func TestBackupWhileItRuns(t *testing.T) {
	t.Parallel()
	l := open(t, Config{Dir: t.TempDir(), Partitions: 1}, "a")
	var stored atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for range 2 {
		writing.Go(func() {
			for ctx.Err() == nil {
				if err := l.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 0, strings.Repeat("x", 2000))}}); err != nil {
					t.Error(err)
					return
				}
				stored.Add(1)
			}
		})
	}
	for i := range 5 {
		wait(t, "record", func() bool { return stored.Load() > int64(20*i) })
		if i == 2 {
			must(t, l.db.Flush())
		}
		before := stored.Load()
		to := filepath.Join(t.TempDir(), "made", "backup")
		must(t, l.Backup(t.Context(), to))
		after := stored.Load()
		must(t, filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %s", path, info.Mode())
			}
			return err
		}))
		b, err := Open(Config{Dir: to, Partitions: 1})
		must(t, err)
		if n := int64(len(readAll(t, b, "a", 0, 0))); n < before || n > after+2 {
			t.Errorf("the backup has %d records; %d were stored before it and %d after", n, before, after)
		}
		put(t, b, "a", 0, "more")
		must(t, b.Close())
		report, err := Repair(t.Context(), to, filepath.Join(t.TempDir(), "cured"))
		must(t, err)
		if !report.Whole() || len(report.Files) > 0 {
			t.Errorf("the backup: %s", report)
		}
	}
	stop()
	writing.Wait()
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, Config{Dir: dir}, "a")
	put(t, l, "a", 0, "x")
	must(t, l.db.Flush())
	full := t.TempDir()
	must(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o600))
	wantRefused(t, l.Backup(t.Context(), full), full, "is not empty")
	wantRefused(t, l.Backup(t.Context(), filepath.Join(dir, "backup")), "within broker.dir")
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(filepath.Join(dir, logName), link))
	for _, to := range []string{link, filepath.Join(link, "made", "backup")} {
		wantRefused(t, l.Backup(t.Context(), to), "within broker.dir")
		_, err := Repair(t.Context(), dir, to)
		wantRefused(t, err, "which is not to be changed")
	}
	wantRefused(t, open(t, Config{}).Backup(t.Context(), t.TempDir()), "in memory")

	// A damaged table: nothing is left of the backup.
	editFile(t, newest(t, dir, "", ".sst"), flipAt(func(n int) int { return n / 3 }))
	empty, missing := t.TempDir(), filepath.Join(t.TempDir(), "made")
	for _, to := range []string{empty, missing} {
		err := l.Backup(t.Context(), to)
		wantRefused(t, err, ".sst", "is damaged")
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
	must(t, l.Close())
	if err := l.Backup(t.Context(), missing); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed log: %v", err)
	}
}

// A backup that a kill cut short is not taken for a whole one, whatever is there.
func TestBackupCutShort(t *testing.T) {
	t.Parallel()
	l := open(t, Config{Dir: t.TempDir()}, "a")
	put(t, l, "a", 0, "x")
	to := filepath.Join(t.TempDir(), "backup")
	must(t, l.Backup(t.Context(), to))
	must(t, writeFormat(vfs.Default, to, formatPartial))
	_, err := Open(Config{Dir: to})
	wantRefused(t, err, to, "did not end", "delete it")
	must(t, os.Remove(filepath.Join(to, formatName)))
	_, err = Open(Config{Dir: to})
	wantRefused(t, err, formatName, fmt.Sprintf("eventserver repair %s", to))
}

// A backup's disk that fails, or is full, is the backup's affair. It ended the server
// when it was a write-ahead log that had no room.
func TestBackupOntoAFullDisk(t *testing.T) {
	t.Parallel()
	to := filepath.Join(t.TempDir(), "backup")
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		failing := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if strings.HasPrefix(op.Path, to) && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileSync) {
				return cause
			}
			return nil
		}))
		l := open(t, Config{Dir: t.TempDir(), fs: failing, Fatal: func(err error) { t.Error(err) }}, "a")
		put(t, l, "a", 0, "x")
		if err := l.Backup(t.Context(), to); !errors.Is(err, cause) {
			t.Errorf("the backup: %v", err)
		}
		if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left: %v", err)
		}
		put(t, l, "a", 0, "y")
		must(t, l.Ping(t.Context()))
		must(t, l.Close())
	}
}
