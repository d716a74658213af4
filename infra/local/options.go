package local

import (
	"fmt"
	"log/slog"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	cacheBytes    = 16 << 20
	memTableBytes = 8 << 20
)

func (l *Log) fs() vfs.FS {
	fs := l.cfg.fs
	switch {
	case fs != nil:
	case l.cfg.Dir == "":
		fs = vfs.NewMem()
	default:
		fs = vfs.Default
	}
	if l.cfg.NoSync {
		fs = noSyncFS{fs}
	}
	return roomFS(fs)
}

// options sets Pebble up for a log: records come in rising order, are read once or
// twice soon after, and go by range deletes.
func (l *Log) options(fs vfs.FS) *pebble.Options {
	opts := &pebble.Options{
		FS:                          fs,
		FormatMajorVersion:          pebble.FormatNewest,
		Cache:                       pebble.NewCache(cacheBytes),
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       40,
		LBaseMaxBytes:               256 << 20,
		MaxOpenFiles:                500,
		ReadOnly:                    l.cfg.ReadOnly,
		DisableWAL:                  !l.wal,
		CompactionConcurrencyRange:  func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)/2) },
		Logger:                      logger{l},
	}
	opts.Experimental.EnableDeleteOnlyCompactionExcises = func() bool { return true }
	opts.EventListener = &pebble.EventListener{BackgroundError: func(err error) {
		l.cfg.Logger.Warn("broker: background work failed and is tried again", slog.String("error", err.Error()))
	}}
	return opts
}

// logger takes what Pebble says. Pebble calls Fatalf when a write failed, and must
// not go on then: the log is dead, and the goroutine stays here.
type logger struct{ l *Log }

func (logger) Infof(string, ...any) {}

func (g logger) Errorf(format string, args ...any) {
	g.l.cfg.Logger.Error("broker: storage error", slog.String("error", fmt.Sprintf(format, args...)))
}

func (g logger) Fatalf(format string, args ...any) {
	g.l.die(fatalError(format, args))
	select {}
}

// fatalError keeps what is wrapped in the arguments.
func fatalError(format string, args []any) error {
	for _, a := range args {
		if err, ok := a.(error); ok {
			return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
		}
	}
	return fmt.Errorf(format, args...) //nolint:err113 // Pebble's text
}
