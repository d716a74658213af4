package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"eventserver/infra"
	"eventserver/infra/shares"
)

// ErrClosed is returned by methods of a closed log.
var ErrClosed = errors.New("local: the broker is closed")

// ErrReadOnly is returned by methods that would change a read-only log.
var ErrReadOnly = errors.New("local: the directory was opened read-only")

const (
	defaultPartitions  = 8
	defaultRecordBytes = 16 << 20
	progressBytes      = 4096 // as Kafka

	// syncDelay is the maximum wait of progress, and of batches that are not Durable.
	syncDelay = 5 * time.Millisecond
	tailBytes = 16 << 20
)

// Config configures a log. The zero value is a log in memory.
type Config struct {
	Dir            string // "": in memory, lost when it is closed
	ReadOnly       bool   // read a directory without changing it
	MustExist      bool   // refuse a directory without a log, and do not create it; so does ReadOnly
	Partitions     int32  // of created topics; default 8
	NoSync         bool   // do not wait for the disk: a crash of the machine may lose accepted events, a kill does not
	MaxRecordBytes int    // default 16 MiB
	Logger         *slog.Logger
	Fatal          func(error)              // called once when the disk fails: nothing more can be stored, and the process should end
	Damaged        func(*infra.DamageError) // called once for each place with unreadable records

	fs      vfs.FS        // tests: instead of the disk's or the one in memory
	reclaim time.Duration // tests: instead of reclaimDelay
	verify  int64         // tests: instead of verifyBytes; negative: no table is read before it is needed
}

func (c *Config) validate() error {
	var errs []error
	if c.Partitions < 0 {
		errs = append(errs, fmt.Errorf("partitions: %d: it must be positive", c.Partitions))
	}
	if c.MaxRecordBytes < 0 {
		errs = append(errs, fmt.Errorf("record bytes: %d: it must be positive", c.MaxRecordBytes))
	}
	if (c.ReadOnly || c.MustExist) && c.Dir == "" {
		errs = append(errs, errors.New("ReadOnly and MustExist need a directory"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("local: %w", err)
	}
	if c.Partitions == 0 {
		c.Partitions = defaultPartitions
	}
	if c.MaxRecordBytes == 0 {
		c.MaxRecordBytes = defaultRecordBytes
	}
	c.verify = cmp.Or(c.verify, verifyBytes)
	c.reclaim = cmp.Or(c.reclaim, reclaimDelay)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Fatal == nil {
		c.Fatal = func(error) {}
	}
	if c.Damaged == nil {
		c.Damaged = func(*infra.DamageError) {}
	}
	return nil
}

func (c *Config) use() use {
	switch {
	case c.ReadOnly:
		return useReadOnly
	case c.MustExist:
		return useExisting
	}
	return useOrCreate
}

// Log is an infra.Log.
type Log struct {
	cfg  Config
	dir  *directory // nil in memory
	full *fullFS
	mark *markFile // nil in memory and when read-only
	db   *pebble.DB
	wal  bool // stored records outlive the process

	topics      topics
	queue       queue
	committer   committer
	groups      groups
	shares      *shares.Shares
	compactions compactions
	reclaimer   reclaimer
	tail        tailBudget
	cursors     cursors
	scans       scans
	damages     damages
	salvager    salvager
	checker     checker
	topicFile   topicFile
	backups     sync.Mutex

	opened   atomic.Bool // between Open and Close
	closing  atomic.Bool
	close    sync.Once
	closeErr error // of Close
}

var _ infra.Log = (*Log)(nil)

// Open opens a log. It creates a missing directory, unless Config forbids it.
func Open(cfg Config) (*Log, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, wal: cfg.Dir != "", scans: newScans()}
	if cfg.Dir != "" {
		d, err := openDirectory(cfg.Dir, cfg.fs, cfg.use(), cfg.Logger)
		if err != nil {
			return nil, err
		}
		l.dir = d
	}
	if err := l.open(); err != nil {
		if l.db != nil {
			err = errors.Join(err, l.db.Close())
		}
		return nil, errors.Join(err, l.release())
	}
	l.opened.Store(true)
	if !cfg.ReadOnly {
		l.compactions.allow()
		l.reclaimer.start(l)
		l.committer.start()
	}
	return l, nil
}

func (l *Log) open() error {
	l.queue.init()
	l.groups.init(l)
	l.shares = l.newShares()
	l.committer.init(l)
	l.damages.init(l)
	l.salvager.init(l)
	fs := l.fs()
	if l.dir == nil {
		return l.openPebble(fs, "log")
	}
	var f dirState
	fresh := l.dir.fresh
	if !fresh {
		var err error
		if f, err = l.dir.prepare(l.cfg.ReadOnly, l.cfg.verify); err != nil {
			return err
		}
	}
	if err := l.openPebble(fs, l.dir.file(logName)); err != nil {
		if pebble.IsCorruptionError(err) {
			err = l.dir.refuse(errorFile(err), err)
		}
		return err
	}
	if l.cfg.ReadOnly {
		return nil
	}
	if f.lost > 0 {
		l.cfg.Logger.Error("broker.dir: the machine crashed, and broker.sync is false: the last records are lost", slog.Uint64("batches", f.lost))
	}
	if err := l.openMark(fs, fresh); err != nil {
		return fmt.Errorf("broker.dir: %w", err)
	}
	l.checker.start(l, f.tables)
	l.topicFile.start(l)
	return nil
}

func (l *Log) openPebble(fs vfs.FS, path string) error {
	opts := l.options(fs)
	db, err := pebble.Open(path, opts)
	opts.Cache.Unref()
	if err != nil {
		return fmt.Errorf("local: open %s: %w", path, err)
	}
	l.db = db
	if err := l.load(); err != nil {
		return fmt.Errorf("local: open %s: %w", path, err)
	}
	return l.checkEnds()
}

// checkEnds looks whether the last records of every partition are there.
func (l *Log) checkEnds() error {
	ends := uint64(0)
	for _, t := range *l.topics.byName.Load() {
		for _, p := range t.parts {
			ends += uint64(p.end)
		}
	}
	if ends != l.committer.records {
		return l.dir.refuse(logName, fmt.Errorf("the offsets of all partitions add up to %d, and %d were stored", ends, l.committer.records))
	}
	return nil
}

func (l *Log) openMark(fs vfs.FS, fresh bool) (err error) {
	path := l.dir.file(markName)
	now := position{l.committer.seq, l.committer.records, l.cfg.NoSync}
	if fresh {
		if err := createMark(fs, path, now); err != nil {
			return err
		}
		if err := l.dir.created(); err != nil {
			return err
		}
	}
	l.mark, err = openMark(fs, path, now)
	return err
}

// release gives back what a directory has beside Pebble.
func (l *Log) release() (err error) {
	if l.mark != nil {
		err = l.mark.close()
	}
	if l.dir != nil {
		err = errors.Join(err, l.dir.close())
	}
	return err
}

// Limits implements infra.Log.
func (l *Log) Limits() infra.Limits {
	return infra.Limits{RecordBytes: l.cfg.MaxRecordBytes, ProgressBytes: progressBytes, Whole: true}
}

// Ping implements infra.Log.
func (l *Log) Ping(ctx context.Context) error {
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.checkDirectory(); err != nil {
		return err
	}
	return ctx.Err()
}

// checkDirectory returns an error when the directory is not where it was opened: the log has
// failed then.
func (l *Log) checkDirectory() error {
	if l.dir == nil {
		return nil
	}
	return l.dir.check()
}

// usable is nil when the log takes calls.
func (l *Log) usable() error {
	if l.closing.Load() {
		return ErrClosed
	}
	return l.queue.state()
}

func (l *Log) readable(ctx context.Context) error {
	if l.closing.Load() {
		return ErrClosed
	}
	if dead := l.queue.failureNoLock.Load(); dead != nil {
		return *dead
	}
	return ctx.Err()
}

func (l *Log) writable() error {
	if l.cfg.ReadOnly {
		return ErrReadOnly
	}
	return l.usable()
}

// fail is for a failure after which nothing can be stored: every later call returns it.
func (l *Log) fail(cause error) {
	err := cause
	if !errors.Is(cause, errMoved) {
		err = fmt.Errorf("local: the disk failed, restart when it works: %w", cause)
	}
	if l.queue.kill(err) {
		l.committer.flight.fail(err)
		l.cursors.wake()
		if !l.closing.Load() {
			l.cfg.Fatal(err)
		}
	}
}

// block has every call that stores fail with err, also those under way, whose
// outcome is then unknown. unblock ends that.
func (l *Log) block(err error) {
	l.queue.block(err)
	l.committer.flight.fail(err)
}

func (l *Log) unblock() {
	l.committer.flight.fail(nil)
	l.queue.unblock()
}

// Close implements infra.Log.
func (l *Log) Close() error {
	l.close.Do(func() { l.closeErr = l.shutDown() })
	return l.closeErr
}

func (l *Log) shutDown() error {
	l.shares.Close() // claims may store and keep until they have ended
	l.closing.Store(true)
	l.queue.close()
	l.backups.Lock()   // one that runs ends soon
	l.backups.Unlock() //nolint:staticcheck // nothing to guard: it is waited for
	l.checker.stop()
	l.full.giveUp() // operations that wait for room on the disk
	stored := l.cfg.ReadOnly || l.committer.stop()
	l.topicFile.stop()
	l.reclaimer.stop()
	if !stored {
		l.full.kill() // Pebble hangs in a failed write: leave it alone, and let it write no more
		return errors.Join(l.queue.state(), l.release())
	}
	l.opened.Store(false)
	l.cursors.close()
	if err := errors.Join(l.db.Close(), l.release()); err != nil {
		return fmt.Errorf("local: close: %w", err)
	}
	return nil
}
