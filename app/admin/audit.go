package admin

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// notes are what an operation says about itself for its audit line.
type notes struct {
	mu    sync.Mutex
	attrs []slog.Attr
}

type notesKey struct{}

// Note adds to the audit line of the operation that ctx belongs to: which
// destination, how many. Never a payload, a user's key or a secret.
func Note(ctx context.Context, attrs ...slog.Attr) {
	if n, ok := ctx.Value(notesKey{}).(*notes); ok {
		n.mu.Lock()
		n.attrs = append(n.attrs, attrs...)
		n.mu.Unlock()
	}
}

// audit writes a line for every change that an operator asked for, whatever
// became of it. Who is no operator cannot fill the log.
func (s *Server) audit(ctx huma.Context, next func(huma.Context)) {
	op, caller := ctx.Operation(), CallerOf(ctx.Context())
	if op.Method == http.MethodGet || caller.Role == "" {
		next(ctx)
		return
	}
	n := &notes{}
	defer func() {
		status := ctx.Status()
		if status == 0 { // it panicked
			status = http.StatusInternalServerError
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		attrs := append([]slog.Attr{slog.String("operation", op.OperationID), slog.String("by", caller.Name), slog.Int("status", status)}, n.attrs...)
		s.cfg.Logger.LogAttrs(ctx.Context(), slog.LevelInfo, "admin operation", attrs...)
	}()
	next(huma.WithValue(ctx, notesKey{}, n))
}
