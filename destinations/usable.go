package destinations

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckDir says why no file can be made in dir, which may have to be made first.
// It changes nothing.
func CheckDir(dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("cannot be found: %w; give an absolute path", err)
	}
	for {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is not a directory; give another path, or move what is there", at)
		case err == nil:
			if err := writable(at, true); err != nil {
				return fmt.Errorf("%s cannot be written to: %w; give this process the right to, or give another path", at, err)
			}
			return nil
		}
		if _, linked := os.Lstat(at); linked == nil && errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is a link to what does not exist; make its target, or give another path", at)
		}
		up := filepath.Dir(at)
		if up == at || errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s cannot be reached: %w; give this process the right to, or give another path", at, cause(err))
		}
		at = up
	}
}

// CheckFile says why path cannot be appended to, or made. It changes nothing.
func CheckFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return CheckDir(filepath.Dir(path))
	case info.IsDir():
		return errors.New("is a directory; give the path of a file in it")
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file; give another path")
	}
	if err := writable(path, false); err != nil {
		return fmt.Errorf("cannot be written to: %w; give this process the right to, or give another path", err)
	}
	return nil
}
