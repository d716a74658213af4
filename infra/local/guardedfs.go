package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardedFS works only while its path leads to its directory. Pebble names files by path, and
// the lock is on the directory itself. After `mv data moved` the paths may lead to another
// server's files, and after `rm -rf data` written files have no name. Then guardedFS refuses
// every change, and opening files.
type guardedFS struct {
	vfs.FS
	dir     string
	named   []namedFile               // the directory, and its lock file if it has one
	wal     atomic.Pointer[namedFile] // the newest write-ahead log
	onMoved func(error)               // called for every refusal; set before the first
}

// errMoved is wrapped by the error of a directory that is not where it was opened.
var errMoved = errors.New("is no longer the directory that this server opened")

// namedFile is a file or directory and the path that led to it.
type namedFile struct {
	path string
	info fs.FileInfo
}

// nameFile returns the file that path leads to now.
func nameFile(path string) (namedFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return namedFile{}, err
	}
	os.SameFile(info, info) // Windows finds out only now which file it is
	return namedFile{path, info}, nil
}

func (n *namedFile) check() error {
	info, err := os.Stat(n.path)
	switch {
	case err == nil && os.SameFile(info, n.info):
		return nil
	case err == nil || errors.Is(err, fs.ErrNotExist): // it is not wrapped: callers take it for a file that never was
		return fmt.Errorf("%s was moved, deleted or replaced", n.path)
	}
	return err
}

// check returns an error if the path leads elsewhere.
func (h *guardedFS) check() error {
	for i := range h.named {
		if err := h.named[i].check(); err != nil {
			return h.refuse(err)
		}
	}
	for {
		wal := h.wal.Load()
		if wal == nil {
			return nil
		}
		err := wal.check()
		if err == nil {
			return nil
		}
		if h.wal.Load() == wal { // else it was deleted because there is a newer one
			return h.refuse(err)
		}
	}
}

func (h *guardedFS) refuse(cause error) error {
	err := fmt.Errorf("broker.dir: %s %w: %w; put it back and start again", h.dir, errMoved, cause)
	if h.onMoved != nil {
		h.onMoved(err)
	}
	return err
}

// written records the newest write-ahead log. Files of a backup are elsewhere.
func (h *guardedFS) written(path string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || filepath.Ext(path) != ".log" || filepath.Dir(path) != filepath.Join(h.dir, logName) {
		return f, err
	}
	wal, err := nameFile(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	h.wal.Store(&wal)
	return f, nil
}

// Unwrap implements vfs.FS.
func (h *guardedFS) Unwrap() vfs.FS { return h.FS }

// Create implements vfs.FS.
func (h *guardedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	f, err := h.FS.Create(name, c)
	return h.written(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (h *guardedFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	f, err := h.FS.ReuseForWrite(oldname, newname, c)
	return h.written(newname, f, err)
}

// Open implements vfs.FS.
func (h *guardedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	return h.FS.Open(name, opts...)
}

// OpenReadWrite implements vfs.FS.
func (h *guardedFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	return h.FS.OpenReadWrite(name, c, opts...)
}

// Link implements vfs.FS.
func (h *guardedFS) Link(oldname, newname string) error {
	if err := h.check(); err != nil {
		return err
	}
	return h.FS.Link(oldname, newname)
}

// Rename implements vfs.FS.
func (h *guardedFS) Rename(oldname, newname string) error {
	if err := h.check(); err != nil {
		return err
	}
	return h.FS.Rename(oldname, newname)
}

// Remove implements vfs.FS.
func (h *guardedFS) Remove(name string) error {
	if err := h.check(); err != nil {
		return err
	}
	return h.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (h *guardedFS) RemoveAll(name string) error {
	if err := h.check(); err != nil {
		return err
	}
	return h.FS.RemoveAll(name)
}

// MkdirAll implements vfs.FS.
func (h *guardedFS) MkdirAll(dir string, perm fs.FileMode) error {
	if err := h.check(); err != nil {
		return err
	}
	return h.FS.MkdirAll(dir, perm)
}
