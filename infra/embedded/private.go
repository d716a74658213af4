package embedded

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// Modes of the directory and its files: payloads are in them.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// makePrivate takes dir and all below it from other users, whatever the umask is
// and whoever made them: mkdir, systemd or an image. Links are not followed. What
// belongs to another user cannot be changed, such as the root of a volume of
// Kubernetes; the log says so, and what the broker makes below it is private.
func makePrivate(dir string, log *slog.Logger) error {
	if err := private(dir, dirMode, log); err != nil { // it may be a link itself
		return err
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case path == dir && err == nil:
			return nil
		case errors.Is(err, fs.ErrPermission): // lost+found
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
}

func private(path string, mode fs.FileMode, log *slog.Logger) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^mode == 0 {
		return err
	}
	err = os.Chmod(path, mode)
	if errors.Is(err, fs.ErrPermission) {
		log.Warn("broker.dir: other users of this machine may read what is here, and it belongs to another user: take their rights away",
			slog.String("path", path), slog.String("mode", info.Mode().Perm().String()))
		return nil
	}
	return err
}
