package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

// ErrTarget is wrapped by the error of a Backup or a Repair to an unsuitable directory.
var ErrTarget = errors.New("name a directory that is empty or does not exist, where this server may write, outside of broker.dir")

// Backup copies the present log to a directory of this machine, which must be missing or
// empty. A server opens the copy like any other directory. On the same file system tables
// are linked. A failed backup leaves nothing. An interrupted one leaves a directory that no
// server opens.
func (l *Log) Backup(ctx context.Context, to string) (err error) {
	switch {
	case l.dir == nil:
		return errors.New("backup: the broker is in memory: it has no directory to copy")
	case l.cfg.ReadOnly:
		return ErrReadOnly
	}
	l.backups.Lock() // Close waits
	defer l.backups.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	source, err := filepath.Abs(l.dir.path)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if to, err = filepath.Abs(to); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if isWithin(source, to) {
		return fmt.Errorf("backup: %s is within broker.dir: %w", to, ErrTarget)
	}
	d, created, err := newDirectory(to)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err = l.backup(ctx, d)
	if err != nil {
		err = errors.Join(err, d.undo(created))
	}
	if err := errors.Join(err, d.close()); err != nil {
		return fmt.Errorf("backup to %s: %w", to, err)
	}
	return nil
}

func (l *Log) backup(ctx context.Context, d *directory) error {
	stored, _, err := readMark(l.dir.fs, l.dir.file(markName)) // the copy has that much at least
	if err != nil {
		return err
	}
	topics := l.topicFile.text() // before the copy: a missing topic with a low number counts as deleted
	if err := writeSynced(d.fs, d.path, topicsName, []byte(topics)); err != nil {
		return err
	}
	if err := l.db.Checkpoint(d.file(logName), pebble.WithFlushedWAL()); err != nil {
		return err
	}
	stored.unsynced = false
	f, err := d.examineUpTo(stored)
	if err != nil {
		return err
	}
	for _, name := range f.tables {
		if l.closing.Load() {
			return ErrClosed
		}
		path := d.fs.PathJoin(d.file(logName), name)
		if err := errors.Join(ctx.Err(), verifyTable(d.fs, path)); err != nil {
			return d.refuse(d.fs.PathJoin(logName, name), err)
		}
	}
	if err := createMark(d.fs, d.file(markName), position{f.sequence, f.records, l.cfg.NoSync}); err != nil {
		return err
	}
	return d.created()
}

// newDirectory creates a directory that no server opens until it is ready. created: it did not
// exist. The error wraps ErrTarget.
func newDirectory(path string) (d *directory, created bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", err, ErrTarget)
		}
	}()
	entries, err := os.ReadDir(path)
	created = errors.Is(err, fs.ErrNotExist)
	if err != nil && !created {
		return nil, false, err
	}
	if len(entries) > 0 {
		return nil, false, fmt.Errorf("%s is not empty", path)
	}
	d = &directory{path: path, fs: diskFS()}
	if err := d.fs.MkdirAll(path, dirMode); err != nil {
		return nil, false, err
	}
	if d.lock, err = lockDirectory(path, false); err != nil {
		return nil, false, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := errors.Join(os.Chmod(path, dirMode), writeFormat(d.fs, path, formatPartial)); err != nil {
		return nil, false, errors.Join(err, d.close())
	}
	return d, created, nil
}

// undo removes what was written to a new directory.
func (d *directory) undo(created bool) error {
	if created {
		return os.RemoveAll(d.path)
	}
	entries, err := os.ReadDir(d.path)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(d.path, e.Name())))
	}
	return err
}

// isWithin reports whether path, which need not exist, is dir or below it. It resolves
// links.
func isWithin(dir, path string) bool {
	home, err := os.Stat(dir)
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	for err != nil && path != filepath.Dir(path) { // the existing part
		path = filepath.Dir(path)
		real, err = filepath.EvalSymlinks(path)
	}
	for {
		if at, err := os.Stat(real); err == nil && os.SameFile(home, at) {
			return true
		}
		if real == filepath.Dir(real) {
			return false
		}
		real = filepath.Dir(real)
	}
}
