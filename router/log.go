package router

import (
	"context"
	"errors"
	"eventserver/router/attempt"
	"eventserver/router/redact"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill"
)

// quietLogger passes Watermill's errors on and the rest as debug: it tells of
// every handler that starts and stops. A message that goes back because of a
// shutdown or a rebalance is no error.
// Watermill traces every message several times: what nobody reads is dropped
// before it is made.
type quietLogger struct {
	watermill.LoggerAdapter
	debug, trace bool
}

func newQuietLogger(log *slog.Logger) watermill.LoggerAdapter {
	return quietLogger{
		LoggerAdapter: watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug}),
		debug:         log.Enabled(context.Background(), slog.LevelDebug),
		trace:         log.Enabled(context.Background(), watermill.LevelTrace),
	}
}

// Info implements watermill.LoggerAdapter; it is debug here.
func (l quietLogger) Info(msg string, fields watermill.LogFields) { l.Debug(msg, fields) }

// Debug implements watermill.LoggerAdapter.
func (l quietLogger) Debug(msg string, fields watermill.LogFields) {
	if l.debug {
		l.LoggerAdapter.Debug(msg, fields)
	}
}

// Trace implements watermill.LoggerAdapter.
func (l quietLogger) Trace(msg string, fields watermill.LogFields) {
	if l.trace {
		l.LoggerAdapter.Trace(msg, fields)
	}
}

// Error implements watermill.LoggerAdapter.
func (l quietLogger) Error(msg string, err error, fields watermill.LogFields) {
	if errors.Is(err, attempt.ErrDraining) || errors.Is(err, context.Canceled) || errors.As(err, new(errStoresNothing)) {
		l.Debug(msg, fields)
		return
	}
	if err != nil {
		err = errors.New(redact.Logged(err))
	}
	l.LoggerAdapter.Error(msg, err, fields)
}

// With implements watermill.LoggerAdapter.
func (l quietLogger) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return quietLogger{LoggerAdapter: l.LoggerAdapter.With(fields), debug: l.debug, trace: l.trace}
}
