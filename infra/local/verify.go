package local

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	pebblerecord "github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// dirState is the content of a directory's files before Pebble opens them.
type dirState struct {
	sequence uint64   // of the last batch
	records  uint64   // sum of the ends of all partitions there
	lost     uint64   // batches that a crash of the machine took; broker.sync is false
	walBytes uint64   // that a start replays
	tables   []string // names of the tables
}

// prepare prepares the directory for Pebble, which reads tables as it needs them. Before that
// limit bytes of tables are read. A refused directory is not changed.
func (d *directory) prepare(readOnly bool, limit int64) (f dirState, err error) {
	if f, err = d.examine(); err != nil || readOnly {
		return f, err
	}
	if f.tables, err = d.verifyTables(f.tables, limit); err != nil {
		return f, err
	}
	if err := needRoom(d.fs, d.path, f.walBytes); err != nil {
		return f, err
	}
	if err := d.dropOptions(); err != nil {
		return f, fmt.Errorf("broker.dir: %w", err)
	}
	return f, nil
}

// examine compares the files of the directory, and changes nothing. Pebble itself reads a
// manifest up to the first damage and deletes tables that are not in it. It ignores a
// missing write-ahead log, and treats a damaged newest one as the trace of a crash. So
// every batch has a number. The batches in the logs must continue where the tables end,
// without a gap, up to the mark.
func (d *directory) examine() (f dirState, err error) {
	last, _, err := readMark(d.fs, d.file(markName))
	if err != nil {
		return f, d.refuse(markName, err)
	}
	return d.examineUpTo(last)
}

// examineUpTo examines with a given mark.
func (d *directory) examineUpTo(last position) (f dirState, err error) {
	if err := d.readTables(&f); err != nil {
		return f, err
	}
	logs, err := d.readLogs(&f)
	if err != nil {
		return f, err
	}
	if f.sequence >= last.sequence && logs.gap == 0 {
		return f, nil
	}
	switch {
	case logs.gap == 0 && last.unsynced:
		f.lost = last.sequence - f.sequence
		return f, nil
	case logs.err != nil:
		return f, d.refuse(logs.file, logs.err)
	case logs.gap != 0:
		return f, d.refuse(logName, fmt.Errorf("batches %d to %d are missing: a write-ahead log (*.log) was deleted or cut short, or the MANIFEST was", f.sequence+1, logs.gap-1))
	}
	return f, d.refuse(logName, fmt.Errorf("it ends with batch %d, and %d were stored: a write-ahead log (*.log) was deleted or cut short, or the MANIFEST was", f.sequence, last.sequence))
}

// readTables finds the tables and the newest batch in them.
func (d *directory) readTables(f *dirState) (err error) {
	dir := d.file(logName)
	names, err := d.fs.List(dir)
	if err != nil {
		return d.refuse(logName, err)
	}
	for _, marker := range []string{"marker.manifest.", "marker.format-version."} {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, marker) }) {
			return d.refuse(d.fs.PathJoin(logName, marker+"*"), fs.ErrNotExist)
		}
	}
	opts := &pebble.Options{
		FS:                      tablesOnly{withoutOptions{d.fs}},
		ReadOnly:                true,
		ErrorIfNotExists:        true,
		DisableConsistencyCheck: true, // below, with the names
		FormatMajorVersion:      pebble.FormatNewest,
		Logger:                  discardLogger{},
		EventListener:           &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}},
		CacheSize:               1 << 20,
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return d.refuse(errorFile(err), err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	levels, err := db.SSTables()
	if err != nil {
		return d.refuse(errorFile(err), err)
	}
	for _, level := range levels {
		for _, t := range level {
			name := fmt.Sprintf("%s.sst", t.BackingSSTNum)
			info, err := d.fs.Stat(d.fs.PathJoin(dir, name))
			switch {
			case err != nil:
				return d.refuse(d.fs.PathJoin(logName, name), err)
			case !t.Virtual && uint64(info.Size()) != t.Size:
				return d.refuse(d.fs.PathJoin(logName, name), fmt.Errorf("it has %d bytes instead of %d", info.Size(), t.Size))
			}
			f.tables = append(f.tables, name)
		}
	}
	slices.Sort(f.tables)
	f.tables = slices.Compact(f.tables)
	v, closer, err := db.Get(sequenceKey)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil
	case err != nil:
		return d.refuse(errorFile(err), err)
	}
	var ok bool
	f.sequence, f.records, ok = decodeSequence(v)
	if err := closer.Close(); err != nil {
		return err
	}
	if !ok {
		return d.refuse(logName, errors.New("the number of the last batch is malformed"))
	}
	return nil
}

// chain are the batches in the write-ahead logs.
type chain struct {
	found *dirState // gets the last batch before a gap
	gap   uint64    // number of the first batch behind it; 0: there is none
	file  string    // where reading ended before the end of a log, and why
	err   error
}

// readLogs reads the batches that follow those in the tables.
func (d *directory) readLogs(f *dirState) (chain, error) {
	c := chain{found: f}
	dir := d.file(logName)
	logs, err := wal.Scan(wal.Dir{FS: d.fs, Dirname: dir})
	if err != nil {
		return c, d.refuse(logName, err)
	}
	for _, log := range logs {
		file, needed, err := c.follow(log)
		if err != nil && (needed || c.err == nil) {
			c.file, c.err = d.fs.PathJoin(logName, d.fs.PathBase(file)), err
		}
	}
	return c, nil
}

// follow reads a log. needed: a batch in it is not in the tables.
func (c *chain) follow(log wal.LogicalLog) (file string, needed bool, err error) {
	_, file = log.SegmentLocation(0)
	r := log.OpenForRead()
	defer func() { err = errors.Join(err, r.Close()) }()
	var text bytes.Buffer // of one batch after the other
	for {
		batch, at, err := r.NextRecord()
		switch {
		case errors.Is(err, io.EOF):
			return file, needed, nil
		case errors.Is(err, pebblerecord.ErrUnexpectedEOF):
			return file, needed, errors.New("it is cut short, or damaged near its end")
		case err != nil:
			return file, needed, err
		}
		text.Reset()
		if _, err := text.ReadFrom(batch); err != nil {
			return file, needed, err
		}
		c.found.walBytes += uint64(text.Len())
		n, records, err := batchNumber(text.Bytes())
		if err != nil {
			return file, needed, fmt.Errorf("at byte %d: %w", at.Physical, err)
		}
		switch {
		case n <= c.found.sequence:
		case n == c.found.sequence+1 && c.gap == 0:
			c.found.sequence, c.found.records, needed = n, records, true
		case c.gap == 0:
			c.gap = n
		}
	}
}

// batchNumber returns the number in an encoded batch, and the sum beside it.
func batchNumber(text []byte) (n, records uint64, err error) {
	for ops := batchrepr.Read(text); ; {
		_, key, v, ok, err := ops.Next()
		switch {
		case err != nil:
			return 0, 0, err
		case !ok:
			return 0, 0, errors.New("a batch without a number")
		case string(key) == string(sequenceKey):
			n, records, ok = decodeSequence(v)
			if !ok {
				return 0, 0, errors.New("the number of a batch is malformed")
			}
			return n, records, nil
		}
	}
}

// These find the name of a file in the text of one of Pebble's errors.
var (
	fileName    = regexp.MustCompile(`MANIFEST-\d+|\d{6,}\.(sst|log|blob)|marker\.[-.\w]+`)
	tableNumber = regexp.MustCompile(`file (\d{6,}) \(type sstable\)`)
)

// errorFile is the file of an error, relative to the directory.
func errorFile(err error) string {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		err = errors.New(info.Path)
	}
	if name := fileName.FindString(err.Error()); name != "" {
		return logName + "/" + name
	}
	if m := tableNumber.FindStringSubmatch(err.Error()); m != nil {
		return logName + "/" + m[1] + ".sst"
	}
	return logName
}

// optionsPrefix begins the names of the files with Pebble's options. Pebble refuses a
// directory with a damaged one, although nothing depends on them here, and each start
// writes a new one.
const optionsPrefix = "OPTIONS-"

// withoutOptions hides them.
type withoutOptions struct{ vfs.FS }

// Unwrap implements vfs.FS.
func (w withoutOptions) Unwrap() vfs.FS { return w.FS }

// List implements vfs.FS.
func (w withoutOptions) List(dir string) ([]string, error) {
	names, err := w.FS.List(dir)
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, optionsPrefix) }), err
}

// tablesOnly hides the write-ahead logs, which examine reads itself.
type tablesOnly struct{ withoutOptions }

// List implements vfs.FS.
func (t tablesOnly) List(dir string) ([]string, error) {
	names, err := t.withoutOptions.List(dir)
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, ".log") }), err
}

// dropOptions deletes them before Pebble opens the directory.
func (d *directory) dropOptions() error {
	names, err := d.fs.List(d.file(logName))
	for _, name := range names {
		if strings.HasPrefix(name, optionsPrefix) {
			err = cmp.Or(err, d.fs.Remove(d.fs.PathJoin(d.file(logName), name)))
		}
	}
	return err
}

// verifyTables reads tables against their checksums, up to limit bytes. It returns the
// remaining tables.
func (d *directory) verifyTables(tables []string, limit int64) (rest []string, err error) {
	for i, name := range tables {
		path := d.fs.PathJoin(d.file(logName), name)
		info, err := d.fs.Stat(path)
		if err == nil && info.Size() > limit {
			return tables[i:], nil
		}
		if err == nil {
			limit -= info.Size()
			err = verifyTable(d.fs, path)
		}
		if err != nil {
			return nil, d.refuse(d.fs.PathJoin(logName, name), err)
		}
	}
	return nil, nil
}

// verifyTable reads every block of a table.
func verifyTable(fsys vfs.FS, path string) error {
	r, err := openTable(fsys, path)
	if err != nil {
		return err
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

func openTable(fsys vfs.FS, path string) (*sstable.Reader, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	opts := &pebble.Options{}
	opts.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), readable, opts.MakeReaderOptions())
	if err != nil {
		return nil, errors.Join(err, readable.Close())
	}
	return r, nil
}

// discardLogger drops what Pebble says.
type discardLogger struct{}

func (discardLogger) Infof(string, ...any)  {}
func (discardLogger) Errorf(string, ...any) {}

// Fatalf must not return. Reading never calls it.
func (discardLogger) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
