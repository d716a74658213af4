package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/infra/local"
)

// Backup implements admin.Backing: the embedded broker, as it is now, to a directory
// of this machine.
func (s steering) Backup(ctx context.Context, dir string) (admin.BackupAnswer, error) {
	switch {
	case s.app.store == nil:
		return admin.BackupAnswer{}, admin.Conflict("broker.kind: " + s.app.cfg.Broker.Kind + " is not in this server's process: back it up with its own tools")
	case s.app.cfg.Broker.Dir == "" || s.app.cfg.Broker.Kind != "embedded":
		return admin.BackupAnswer{}, admin.Conflict("broker.kind: " + s.app.cfg.Broker.Kind + " has no directory to back up")
	case !filepath.IsAbs(dir):
		return admin.BackupAnswer{}, admin.Invalid("dir: " + dir + " is not an absolute path; name one, of this server's machine")
	}
	a, err := backup(ctx, s.app.store, dir)
	if errors.Is(err, local.ErrTarget) {
		return a, admin.Conflict(err.Error())
	}
	return a, err
}

func backup(ctx context.Context, store *local.Log, dir string) (a admin.BackupAnswer, err error) {
	if err := store.Backup(ctx, dir); err != nil {
		return a, err
	}
	a.Dir = dir
	return a, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			a.Bytes += info.Size()
		}
		return err
	})
}

// BackupStopped backs the directory of a server up that is stopped.
func BackupStopped(ctx context.Context, cfg *config.Config, o Options, dir string) (admin.BackupAnswer, error) {
	if cfg.Broker.Kind != "embedded" {
		return admin.BackupAnswer{}, fmt.Errorf("broker.kind: %s has no directory to back up", cfg.Broker.Kind)
	}
	var store *local.Log
	b, err := openStopped(cfg, o.logger(), false, hooks{store: func(l *local.Log) { store = l }})
	if err != nil {
		return admin.BackupAnswer{}, err
	}
	a, err := backup(ctx, store, dir)
	return a, errors.Join(err, b.Close())
}

// Repair copies what can be read of a damaged directory of the embedded broker to a
// new one.
func Repair(ctx context.Context, from, to string) (*local.Report, error) {
	return local.Repair(ctx, from, to)
}
