package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fullFS hides a full disk from Pebble, whose commits do not survive one. An operation
// below dir waits until there is room, and then continues where it stopped. Callers of the
// log do not wait: onFull informs them. Everywhere else, such as in a backup's directory, a
// full disk is an error as usual.
type fullFS struct {
	vfs.FS
	dir string

	// onFull is called with the system's error, such as syscall.ENOSPC, while nothing can be
	// stored, and with nil afterwards; mu is held.
	onFull func(cause error)
	// onWALError is called with the error of a write-ahead log. Pebble panics on some of them.
	// onWALError does not return where Pebble cannot continue.
	onWALError func(err error)

	mu      sync.Mutex
	waiting int
	ended   chan struct{} // closed by giveUp
	killed  atomic.Bool
}

// fullRetry is how often a waiting operation checks for room.
const fullRetry = 200 * time.Millisecond

func newFullFS(fs vfs.FS, dir string, onFull, onWALError func(error)) *fullFS {
	return &fullFS{FS: fs, dir: dir, onFull: onFull, onWALError: onWALError, ended: make(chan struct{})}
}

// giveUp makes waiting operations fail, now and later. It is for closing a log while its
// disk is full.
func (f *fullFS) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.ended:
	default:
		close(f.ended)
	}
}

// kill makes every later change fail, because the lock is given back while Pebble hangs.
func (f *fullFS) kill() {
	f.killed.Store(true)
	f.giveUp()
}

var errKilled = errors.New("the log is closed")

// isFull reports whether err is a full disk or quota.
func isFull(err error) bool {
	return vfs.IsNoSpaceError(err) || errors.Is(err, errQuota)
}

// try calls op until the disk has room for it.
func (f *fullFS) try(path string, op func() error) error {
	err := f.wait(path, op)
	f.fatal(path, err)
	return err
}

// fatal hands the error of a write-ahead log to onWALError. That of a backup is the backup's.
func (f *fullFS) fatal(path string, err error) {
	if err != nil && strings.HasSuffix(path, ".log") && f.within(path) {
		f.onWALError(err)
	}
}

func (f *fullFS) wait(path string, op func() error) error {
	if f.killed.Load() {
		return errKilled
	}
	err := op()
	if err == nil || !isFull(err) || !f.within(path) {
		return err
	}
	f.begin(err)
	defer f.end()
	tick := time.NewTicker(fullRetry)
	defer tick.Stop()
	for {
		select {
		case <-f.ended:
			return err
		case <-tick.C:
		}
		if err = op(); err == nil || !isFull(err) {
			return err
		}
	}
}

func (f *fullFS) within(path string) bool {
	below, err := filepath.Rel(f.dir, path)
	return err == nil && below != ".." && !strings.HasPrefix(below, ".."+string(os.PathSeparator))
}

func (f *fullFS) begin(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting++; f.waiting == 1 {
		f.onFull(err)
	}
}

func (f *fullFS) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.onFull(nil)
	}
}

// Unwrap implements vfs.FS.
func (f *fullFS) Unwrap() vfs.FS { return f.FS }

// file opens a file, and waits while the disk is full. So do its writes.
func (f *fullFS) file(name string, open func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := f.try(name, func() (err error) {
		file, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &fullFile{File: file, fs: f, name: name}, nil
}

// Create implements vfs.FS.
func (f *fullFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

// OpenReadWrite implements vfs.FS.
func (f *fullFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file(name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (f *fullFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, c) })
}

// Link implements vfs.FS.
func (f *fullFS) Link(oldname, newname string) error {
	return f.try(newname, func() error { return f.FS.Link(oldname, newname) })
}

// Rename implements vfs.FS.
func (f *fullFS) Rename(oldname, newname string) error {
	return f.try(newname, func() error { return f.FS.Rename(oldname, newname) })
}

// Remove implements vfs.FS.
func (f *fullFS) Remove(name string) error {
	return f.try(name, func() error { return f.FS.Remove(name) })
}

// MkdirAll implements vfs.FS.
func (f *fullFS) MkdirAll(dir string, perm os.FileMode) error {
	return f.try(dir, func() error { return f.FS.MkdirAll(dir, perm) })
}

// fullFile is a file of a fullFS. A failed sync is not retried: the system may have dropped
// the data.
type fullFile struct {
	vfs.File
	fs   *fullFS
	name string
}

// Write implements io.Writer.
func (f *fullFile) Write(p []byte) (n int, err error) {
	err = f.fs.try(f.name, func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *fullFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.try(f.name, func() error {
		m, err := f.File.WriteAt(p[n:], off+int64(n))
		n += m
		return err
	})
	return n, err
}

// Sync implements vfs.File.
func (f *fullFile) Sync() error { return f.checked(f.File.Sync()) }

// SyncData implements vfs.File.
func (f *fullFile) SyncData() error { return f.checked(f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *fullFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.checked(err)
}

// Close implements vfs.File.
func (f *fullFile) Close() error { return f.checked(f.File.Close()) }

func (f *fullFile) checked(err error) error {
	f.fs.fatal(f.name, err)
	return err
}

// Preallocate implements vfs.File, and does nothing: Pebble would take 9 MB of the disk
// for each write-ahead log, also on an idle server.
func (f *fullFile) Preallocate(int64, int64) error { return nil }

// needRoom refuses a start without enough room on the disk. Pebble replays its write-ahead
// logs into new files before it deletes the old ones.
func needRoom(fs vfs.FS, dir string, bytes uint64) error {
	usage, err := fs.GetDiskUsage(dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("broker.dir: %w", err)
	}
	if usage.AvailBytes < bytes {
		return fmt.Errorf("broker.dir: %s: the start needs %d KiB and the disk has %d KiB left: %w", dir, bytes>>10, usage.AvailBytes>>10, syscall.ENOSPC)
	}
	return nil
}
