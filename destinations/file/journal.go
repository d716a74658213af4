package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// file is what the journal needs of an *os.File; tests put a failing one in its place.
type file interface {
	io.ReaderAt
	io.Writer
	Sync() error
	Truncate(size int64) error
	Stat() (os.FileInfo, error)
	Close() error
}

// journal is the file with its end. One goroutine uses it.
type journal struct {
	cfg      Config
	openFile func(path string) (file, error)
	now      func() time.Time

	f    file // nil: to be opened
	good int64
	born time.Time // of the first line; zero while there is none
	// dirty says that bytes behind good may be in the file: a write or a sync
	// failed, and so did taking it back.
	dirty bool
}

func (j *journal) dir() string { return filepath.Dir(j.cfg.Path) }

// openFile opens for appending, and locks: two writers would cut off each
// other's lines when they take a failed write back.
func openFile(path string) (file, error) {
	f, err := openOrCreate(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is not a regular file; name another path, or remove it", path))
	}
	if err := lock(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s is in use by another destination or process: %w", path, err)
	}
	return f, nil
}

// openOrCreate opens what is at the path, or makes it for its owner alone,
// whatever the umask. It follows no symbolic link at the path itself, and waits
// for nobody where somebody put a FIFO.
func openOrCreate(path string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_APPEND | noFollow | noWait
	for range 3 { // it may come and go in between
		f, err := os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return f, errors.Join(f.Chmod(0o600))
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		f, err = os.OpenFile(path, flags, 0)
		if !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("%s comes and goes", path)
}

// ready makes sure that the file is open, is the one at the path, and ends with
// a whole line.
func (j *journal) ready() error {
	if j.f != nil {
		size, ok := j.inPlace()
		if !ok || size < j.good || size > j.good && !j.dirty {
			j.abandon() // what is at the path, and how it ends, open looks at anew
		}
	}
	if j.f == nil {
		return j.open()
	}
	if j.dirty {
		return j.takeBack()
	}
	return nil
}

// inPlace says whether the path names the open file. Others delete and rename
// it (an operator, logrotate), and writing on would fill an inode that nobody
// finds.
func (j *journal) inPlace() (size int64, ok bool) {
	ours, err := j.f.Stat()
	if err != nil {
		return 0, false
	}
	named, err := os.Lstat(j.cfg.Path)
	return ours.Size(), err == nil && os.SameFile(ours, named)
}

// abandon lets the file go to whoever moved it, with whole lines if it can.
func (j *journal) abandon() {
	if j.dirty {
		_ = j.takeBack()
	}
	_ = j.close() // all that was acknowledged is synced
}

func (j *journal) open() error {
	if err := makeDir(j.dir()); err != nil {
		return err
	}
	// A device may act on being opened, and a FIFO loses what was "synced". A link
	// leads to a file that another may choose. openFile refuses them too, should
	// they come in between.
	if info, err := os.Lstat(j.cfg.Path); err == nil && !info.Mode().IsRegular() {
		if info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("%s is a symbolic link; write the path that it leads to (links of directories are followed)", j.cfg.Path)
		}
		return fmt.Errorf("%s is not a regular file; name another path, or remove it", j.cfg.Path)
	}
	f, err := j.openFile(j.cfg.Path)
	if err != nil {
		return err
	}
	size, born, err := j.mend(f)
	if err != nil {
		_ = f.Close()
		return err
	}
	j.f, j.good, j.born, j.dirty = f, size, born, false
	return nil
}

// mend ends a last line that a crash cut off. What that line told was never
// reported as delivered, so it comes again.
func (j *journal) mend(f file) (size int64, born time.Time, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, born, err
	}
	size = info.Size()
	if size > 0 {
		born = info.ModTime() // the nearest to its beginning that the file system tells
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return 0, born, err
		}
		if last[0] != '\n' {
			if _, err := f.Write([]byte("\n")); err != nil {
				return 0, born, err
			}
			size++
		}
		// Also where the last line is whole: the process that wrote it may
		// have been killed before its sync.
		if err := f.Sync(); err != nil {
			return 0, born, err
		}
	}
	return size, born, syncDir(j.dir())
}

// append stores lines and returns how many of them, from the first, are on
// disk, at the path. err tells why the others are not.
func (j *journal) append(lines [][]byte) (stored int, err error) {
	for stored < len(lines) {
		if err := j.ready(); err != nil {
			return stored, err
		}
		if j.full(len(lines[stored])) {
			if err := j.rotate(); err != nil {
				return stored, err
			}
		}
		// As many as go into this file.
		var chunk []byte
		n := stored
		for n < len(lines) && (n == stored || j.good+int64(len(chunk)+len(lines[n])) <= j.cfg.MaxBytes) {
			chunk = append(chunk, lines[n]...)
			n++
		}
		if err := j.write(chunk); err != nil {
			return stored, err
		}
		if _, ok := j.inPlace(); !ok {
			continue // moved away meanwhile: once more, at the path
		}
		stored = n
	}
	return stored, nil
}

func (j *journal) full(next int) bool {
	if j.good == 0 {
		return false // a line longer than the limit still has to go somewhere
	}
	return j.good+int64(next) > j.cfg.MaxBytes || j.cfg.MaxAge > 0 && j.now().Sub(j.born) >= j.cfg.MaxAge
}

func (j *journal) write(chunk []byte) error {
	n, err := j.f.Write(chunk)
	if err == nil && n < len(chunk) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		j.dirty = true
		return errors.Join(err, j.takeBack())
	}
	if j.born.IsZero() {
		j.born = j.now()
	}
	j.good += int64(len(chunk))
	return nil
}

// takeBack cuts off what follows the last good line. After a failed fsync too:
// Linux then takes the pages for clean, and only writing them anew stores them.
func (j *journal) takeBack() error {
	info, err := j.f.Stat()
	if err == nil && info.Size() > j.good { // never longer: it would fill up with zeros
		err = j.f.Truncate(j.good)
	}
	if err != nil {
		return fmt.Errorf("take back a failed write: %w", err)
	}
	j.dirty = false
	return nil
}

func (j *journal) close() error {
	if j.f == nil {
		return nil
	}
	f := j.f
	j.f = nil
	return f.Close()
}
