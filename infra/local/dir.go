package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A directory has Pebble's files, the mark (mark.go), the format (format.go), the names of
// the topics (topicfile.go), and a lock file where the directory itself cannot be locked.
const (
	logName    = "log"
	topicsName = "topics"
	markName   = "mark"
	formatName = "format"
	lockName   = "lock"
)

// Modes of the directory and its files, which hold payloads.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// ErrLocked is wrapped by the error of an Open of a directory that another process
// has open.
var ErrLocked = errors.New("in use by another eventserver")

// errHeld is the error of lockDirectory and lockFile for a lock that is taken.
var errHeld = errors.New("the lock is held")

// directory is a locked broker.dir.
type directory struct {
	path  string
	fs    vfs.FS
	lock  io.Closer
	guard *guardedFS // nil where fs is not the machine's
	fresh bool       // nothing was stored here yet: Pebble's files are to be created
}

func (d *directory) file(name string) string { return d.fs.PathJoin(d.path, name) }

// use is the purpose of opening a directory.
type use int

const (
	useOrCreate use = iota // one that is missing or empty is fresh
	useExisting            // there must be something
	useReadOnly            // so must there, and it stays as it is
)

// openDirectory locks path and checks its content. It refuses files of an older release or
// of another program.
//
// other is a file system for tests; it has no locks.
func openDirectory(path string, other vfs.FS, u use, log *slog.Logger) (*directory, error) {
	d := &directory{path: path, fs: checkedFS{other}, lock: noLock{}}
	if other == nil {
		d.fs = diskFS()
	}
	if u == useOrCreate {
		if err := makeSynced(d.fs, path); err != nil {
			return nil, fmt.Errorf("broker.dir: %w", err)
		}
	}
	if other == nil {
		if err := d.acquireLock(u == useReadOnly); err != nil {
			return nil, err
		}
	}
	if err := d.identify(u); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if other == nil && u != useReadOnly {
		if err := makePrivate(d.path, log); err != nil {
			return nil, errors.Join(fmt.Errorf("broker.dir: %w", err), d.close())
		}
	}
	return d, nil
}

// makeSynced creates a directory that survives a crash of the machine. Otherwise synced
// files below it would be lost, and the next start would be a first start.
func makeSynced(fsys vfs.FS, path string) error {
	missing := []string{}
	for p := path; ; p = fsys.PathDir(p) {
		if _, err := fsys.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, p)
	}
	if err := fsys.MkdirAll(path, dirMode); err != nil {
		return err
	}
	for _, p := range missing {
		// A parent that is writable and not readable cannot be synced.
		if err := syncDir(fsys, fsys.PathDir(p)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// acquireLock locks the directory.
func (d *directory) acquireLock(readOnly bool) error {
	lock, err := lockDirectory(d.path, readOnly)
	switch {
	case errors.Is(err, errHeld):
		return fmt.Errorf("broker.dir: %s is %w: stop it, or give this one its own directory", d.path, ErrLocked)
	case err != nil:
		return fmt.Errorf("broker.dir: %w", err)
	}
	d.lock = lock
	d.guard = &guardedFS{FS: d.fs, dir: d.path, named: lock.named}
	d.fs = d.guard
	if err := d.check(); err != nil { // between opening and locking it
		return errors.Join(err, d.close())
	}
	return nil
}

// identify finds out whether the directory is new, and refuses one that this release cannot
// open.
func (d *directory) identify(u use) error {
	state, err := readFormat(d.fs, d.file(formatName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := d.refuseWithoutFormat(); err != nil {
			return err
		}
		d.fresh = true
	case errors.Is(err, errNewer):
		return fmt.Errorf("broker.dir: %s: %w", d.file(formatName), err)
	case err != nil:
		return d.refuse(formatName, err)
	case state == formatPartial:
		return fmt.Errorf("broker.dir: the backup or repair that wrote %s did not end: delete it and run that again", d.path)
	default:
		d.fresh = state == formatNew // a first start that was cut short: nothing was accepted
	}
	if !d.fresh {
		return nil
	}
	if u != useOrCreate {
		return fmt.Errorf("broker.dir: no server has stored anything in %s", d.path)
	}
	if err := writeFormat(d.fs, d.path, formatNew); err != nil {
		return fmt.Errorf("broker.dir: %w", err)
	}
	for _, name := range []string{logName, markName} {
		if err := d.fs.RemoveAll(d.file(name)); err != nil {
			return fmt.Errorf("broker.dir: %w", err)
		}
	}
	return nil
}

// refuseWithoutFormat distinguishes a directory without a format from a new one.
func (d *directory) refuseWithoutFormat() error {
	for _, name := range []string{logName, markName} {
		names, err := d.fs.List(d.file(name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
			continue
		}
		return d.refuse(formatName, errors.New("it is missing, and there is "+name+": a copy or a backup was not finished, or the file was deleted"))
	}
	for _, name := range []string{"broker", "commits.journal"} {
		if _, err := d.fs.Stat(d.file(name)); err == nil {
			return fmt.Errorf("broker.dir: %s was written by an older release, which kept its events in another format (%s): "+
				"start that release until it has delivered what is left, then move the directory away, or set broker.dir to a new one", d.path, name)
		}
	}
	return nil
}

// created records that Pebble's files and the mark exist.
func (d *directory) created() error {
	if err := writeFormat(d.fs, d.path, formatReady); err != nil {
		return fmt.Errorf("broker.dir: %w", err)
	}
	d.fresh = false
	return nil
}

// check returns an error if the path leads elsewhere.
func (d *directory) check() error {
	if d.guard == nil {
		return nil
	}
	return d.guard.check()
}

func (d *directory) close() error { return d.lock.Close() }

// ErrDamaged is wrapped by the error of an Open that refuses a directory because
// files in it are damaged or missing.
var ErrDamaged = errors.New("damaged")

// damagedError names the file, its fault, and the cure.
type damagedError struct {
	dir, file string
	err       error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("broker.dir: %s is damaged: %s: put a backup back, or copy what can be read to a new directory with: eventserver repair %s",
		filepath.Join(e.dir, e.file), e.err, e.dir)
}

func (e *damagedError) Unwrap() []error { return []error{ErrDamaged, e.err} }

func (d *directory) refuse(file string, err error) error {
	return &damagedError{d.path, file, plain(err)}
}

// dirLock is a lock on a directory.
type dirLock struct {
	io.Closer
	named []namedFile // files that must keep their names for the lock to work
}

// lockFile locks a file in the directory.
func lockFile(path string) (*dirLock, error) {
	name := filepath.Join(path, lockName)
	c, err := vfs.Default.Lock(name)
	if err != nil {
		if info, statErr := os.Stat(name); statErr == nil && info.Mode().IsRegular() && !errors.Is(err, fs.ErrPermission) {
			return nil, errHeld
		}
		return nil, err
	}
	lock := &dirLock{Closer: c}
	for _, p := range []string{path, name} {
		n, err := nameFile(p)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		lock.named = append(lock.named, n)
	}
	return lock, nil
}

// makePrivate removes the rights of other users on dir and the broker's files in it,
// whatever the umask is and whoever made them: mkdir, systemd or an image. It does not
// follow links. Other files keep their modes, since nobody gets past the directory. Files
// of another user cannot be changed, such as the root of a Kubernetes volume. The log says
// so, and new files below it are private.
func makePrivate(dir string, log *slog.Logger) error {
	if err := private(dir, dirMode, log); err != nil { // it may be a link itself
		return err
	}
	for _, name := range []string{logName, formatName, markName, topicsName, lockName} {
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case d.IsDir():
				return private(path, dirMode, log)
			case d.Type().IsRegular():
				return private(path, fileMode, log)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func private(path string, mode fs.FileMode, log *slog.Logger) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^mode == 0 {
		return err
	}
	err = os.Chmod(path, mode)
	if errors.Is(err, fs.ErrPermission) {
		log.Warn("broker.dir: other users of this machine may read these files, which belong to another user: remove their rights",
			slog.String("path", path), slog.String("mode", info.Mode().Perm().String()))
		return nil
	}
	return err
}

// privateFS creates files that only their owner may read, whatever the umask is. Its Lock
// does nothing: the directory is locked before Pebble opens it. Several readers may lock it
// at once, which Pebble's own lock does not allow.
type privateFS struct{ vfs.FS }

// Unwrap implements vfs.FS.
func (p privateFS) Unwrap() vfs.FS { return p.FS }

// Create implements vfs.FS.
func (p privateFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.private(p.FS.Create(name, c))(name)
}

// OpenReadWrite implements vfs.FS.
func (p privateFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return p.private(p.FS.OpenReadWrite(name, c, opts...))(name)
}

func (p privateFS) private(f vfs.File, err error) func(name string) (vfs.File, error) {
	return func(name string) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(name, fileMode); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
}

// MkdirAll implements vfs.FS.
func (p privateFS) MkdirAll(dir string, _ fs.FileMode) error { return p.FS.MkdirAll(dir, dirMode) }

// Lock implements vfs.FS.
func (p privateFS) Lock(string) (io.Closer, error) { return noLock{}, nil }

type noLock struct{}

func (noLock) Close() error { return nil }
