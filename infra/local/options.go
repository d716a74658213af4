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

	// Records are appended to each partition of each topic, so a compaction of level 0
	// rewrites the last table of every partition. Rare compactions and small tables keep
	// that low; each further level has tables of twice the size. The reclaimer removes
	// trimmed records from level 0.
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
	if l.dir != nil && l.dir.guard != nil {
		l.dir.guard.onMoved = func(err error) {
			if l.opened.Load() {
				l.fail(err)
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
			l.fail(err)
			select {} // as after Fatalf
		}
	})
	return l.full
}

// options configures Pebble for a log: records come in rising order, are read once or
// twice soon after, and are deleted by range deletes.
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
			l.cfg.Logger.Warn("broker: background work failed; trying again", slog.String("error", err.Error()))
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) { l.damages.file(info.Path, info.Details) }, // Pebble's own is fatal
	}
	return opts
}

// deleteCleaner deletes files that are not needed any more. By default Pebble keeps five
// write-ahead logs for reuse, which take 40 MB of an idle server's disk. It does not keep
// them for a cleaner that reads them, as ArchiveCleaner does.
type deleteCleaner struct {
	pebble.DeleteCleaner
	noRecycling
}

type noRecycling struct{ pebble.ArchiveCleaner }

// logger receives Pebble's log. Pebble calls Fatalf when a write failed, and must not
// continue: the log is dead, and the goroutine stays here.
type logger struct{ l *Log }

func (logger) Infof(string, ...any) {}

func (g logger) Errorf(format string, args ...any) {
	g.l.cfg.Logger.Error("broker: storage error", slog.String("error", fmt.Sprintf(format, args...)))
}

func (g logger) Fatalf(format string, args ...any) {
	g.l.fail(fatalError(format, args))
	select {}
}

// fatalError wraps the errors in the arguments.
func fatalError(format string, args []any) error {
	for _, a := range args {
		if err, ok := a.(error); ok {
			return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
		}
	}
	return fmt.Errorf(format, args...) //nolint:err113 // Pebble's text
}
