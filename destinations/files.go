package destinations

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrNotRegular is the cause in the error of OpenFile for a directory, a pipe, a
// socket or a device.
var ErrNotRegular = errors.New("is not a regular file")

// OpenFile opens a file that a configuration names, for reading. It must be a
// regular one, or a link to one: to open a pipe would wait for a writer, and to
// read a device might never end.
func OpenFile(path string) (*os.File, error) {
	// Looked at before it is opened, because to open a device may do something.
	info, err := os.Stat(path)
	var failed *fs.PathError
	if errors.As(err, &failed) {
		failed.Op = "open"
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	// Without waiting, and looked at again: it may be another one by now.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// MaxFile is the size of the largest file that ReadFile reads: the certificates
// of all public authorities have a tenth of it.
const MaxFile = 4 << 20

// ReadFile reads a whole file as OpenFile opens it, of at most MaxFile bytes.
func ReadFile(path string) ([]byte, error) {
	file, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is larger than %d MiB", MaxFile>>20)}
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}
