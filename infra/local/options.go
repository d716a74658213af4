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

	// Records are appended at the end of each partition of each topic, so what leaves
	// level 0 rewrites the last table of every partition. It leaves seldom, and small
	// tables to move into keep that low; each further level has twice as much in one.
	// What level 0 holds of trimmed records is the reclaimer's.
	levelZeroTables = 16
	baseTableBytes  = 1 << 20
)

func (l *Log) fs() vfs.FS {
	fs := l.cfg.fs
	switch {
	case l.dir != nil:
		fs = l.dir.fs
	case fs == nil:
		fs = vfs.NewMem()
	}
	if l.dir != nil && l.dir.held != nil {
		l.dir.held.gone = func(err error) {
			if l.opened.Load() {
				l.die(err)
			}
		}
	}
	if l.cfg.NoSync {
		fs = noSyncFS{fs}
	}
	if l.cfg.ReadOnly {
		fs = withoutOptions{fs}
	}
	l.full = newFullFS(fs, l.cfg.Dir, func(cause error) {
		if cause == nil {
			l.unblock()
			return
		}
		if !l.opened.Load() {
			l.cfg.Logger.Error("broker.dir: the disk is full: the start waits for room", slog.Any("error", cause))
		}
		l.block(fmt.Errorf("broker.dir: %w", cause))
	}, func(err error) {
		if l.opened.Load() {
			l.die(err)
			select {} // as after Fatalf
		}
	})
	return l.full
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
		L0CompactionThreshold:       levelZeroTables,
		L0StopWritesThreshold:       40,
		LBaseMaxBytes:               256 << 20,
		MaxOpenFiles:                500,
		ReadOnly:                    l.cfg.ReadOnly,
		ErrorIfNotExists:            l.dir != nil && !l.dir.fresh,
		DisableWAL:                  !l.wal,
		CompactionConcurrencyRange:  func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)/2) },
		Logger:                      logger{l},
		Cleaner:                     deleteCleaner{},
		FlushDelayDeleteRange:       l.cfg.reclaim,
	}
	opts.TargetFileSizes[1] = baseTableBytes
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest }) // less CPU than Snappy
	opts.Experimental.CompactionScheduler = &l.compactions
	opts.Experimental.EnableDeleteOnlyCompactionExcises = func() bool { return true }
	opts.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) {
			l.cfg.Logger.Warn("broker: background work failed and is tried again", slog.String("error", err.Error()))
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) { l.damages.file(info.Path, info.Details) }, // Pebble's own is fatal
	}
	return opts
}

// deleteCleaner deletes a file that is not needed any more. Pebble keeps five
// write-ahead logs to use them again, unless its cleaner wants to read them, as
// ArchiveCleaner does: they would be 40 MB on the disk of an idle server.
type deleteCleaner struct {
	pebble.DeleteCleaner
	noRecycling
}

type noRecycling struct{ pebble.ArchiveCleaner }

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
