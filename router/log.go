package router

import (
	"context"
	"errors"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill"
)

// quietLogger passes Watermill's errors on and the rest as debug: it tells of
// every handler that starts and stops. A message that goes back because of a
// shutdown or a rebalance is no error.
type quietLogger struct{ watermill.LoggerAdapter }

func newQuietLogger(log *slog.Logger) watermill.LoggerAdapter {
	return quietLogger{watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})}
}

// Error implements watermill.LoggerAdapter.
func (l quietLogger) Error(msg string, err error, fields watermill.LogFields) {
	if errors.Is(err, errDraining) || errors.Is(err, context.Canceled) {
		l.Debug(msg, fields)
		return
	}
	l.LoggerAdapter.Error(msg, err, fields)
}

// With implements watermill.LoggerAdapter.
func (l quietLogger) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return quietLogger{l.LoggerAdapter.With(fields)}
}
