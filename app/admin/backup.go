package admin

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Backing copies what the broker in the server's process has stored.
type Backing interface {
	// Backup copies it, as it is now, to a directory of the server's machine. Its
	// errors are made by Invalid and Conflict, or answer 500.
	Backup(ctx context.Context, dir string) (BackupAnswer, error)
}

// BackupOrder asks for a backup.
type BackupOrder struct {
	Dir string `json:"dir" minLength:"1" maxLength:"4096" doc:"Absolute path on the server's machine of a directory that is empty or does not exist"`
}

// BackupAnswer is a backup that is there.
type BackupAnswer struct {
	Dir   string `json:"dir"`
	Bytes int64  `json:"bytes" doc:"Size of its files. On the same file system, files that broker.dir also has take no space"`
}

type (
	backupInput  struct{ Body BackupOrder }
	backupOutput struct{ Body BackupAnswer }
)

func (s *Server) backupOperations(api huma.API) {
	op := changing("backup", "/v1/backup", "Copy what the embedded broker has stored to another directory of the server's machine, while it runs")
	op.Errors = append(op.Errors, http.StatusConflict)
	register(api, op, func(ctx context.Context, in *backupInput) (*backupOutput, error) {
		Note(ctx, slog.String("dir", in.Body.Dir))
		if s.cfg.Backing == nil {
			return nil, absent("broker")
		}
		a, err := s.cfg.Backing.Backup(ctx, in.Body.Dir)
		return &backupOutput{a}, err
	})
}
