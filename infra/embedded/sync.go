package embedded

import (
	"errors"
	"io/fs"
	"os"
)

// syncAll syncs the files below dir. A killed process may have written records
// whose sync it did not live to see. They are read again, and what is committed
// because of them is synced: it must not outlive them in a crash of the machine.
func syncAll(dir string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) { // the first start
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := root.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
