package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// salvager reads the tables of a log one by one where Pebble cannot read. For a record,
// Pebble reads a block of every table whose range includes it, and returns nothing when one
// of these blocks is damaged. A record is written once and never changed, so it counts
// wherever it is found. Trimmed records are below the partition's low, and the id of a
// deleted topic is not used again.
type salvager struct {
	log    *Log
	token  scans                     // one reader at a time; readers without damage do not wait
	tables map[string][]salvageBlock // of each damaged table, which is read whole once
}

// salvageBlock is a readable block of a damaged table.
type salvageBlock struct {
	at, length  int64 // with its type, without its checksum
	first, last []byte
}

// salvageTries is how often the tables are listed again after a compaction has replaced
// one.
const salvageTries = 3

func (s *salvager) init(l *Log) {
	s.log, s.token, s.tables = l, make(scans, 1), map[string][]salvageBlock{}
}

// read returns the first records of [from, to) that are in tables, about maxBytes of them.
// The caller has the token.
func (s *salvager) read(ctx context.Context, p *partition, from, to int64, maxBytes int) ([]entry, error) {
	if s.log.dir == nil {
		return nil, nil
	}
	for try := 1; ; try++ {
		w := &window{p: p, maxBytes: maxBytes, records: map[int64]entry{},
			from: appendRecordKey(nil, p.topic.id, p.n, from), to: appendRecordKey(nil, p.topic.id, p.n, to)}
		replaced := false
		tables, err := s.list(w)
		if err != nil {
			return nil, err
		}
		for _, t := range tables {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if bytes.Compare(t.Smallest.UserKey, w.to) >= 0 {
				break // in this order so do all others
			}
			err := s.table(fmt.Sprintf("%s.sst", t.BackingSSTNum), w)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			replaced = replaced || err != nil
			w.cut()
		}
		if !replaced || try == salvageTries {
			return w.sorted(), nil
		}
	}
}

// list returns the tables whose range meets a window, by their first key.
func (s *salvager) list(w *window) (tables []pebble.SSTableInfo, err error) {
	levels, err := s.log.db.SSTables(pebble.WithKeyRangeFilter(w.from, w.to))
	for _, level := range levels {
		tables = append(tables, level...)
	}
	slices.SortFunc(tables, func(a, b pebble.SSTableInfo) int { return bytes.Compare(a.Smallest.UserKey, b.Smallest.UserKey) })
	return tables, err
}

// table adds a table's records to a window.
func (s *salvager) table(name string, w *window) error {
	path := s.log.dir.fs.PathJoin(s.log.dir.file(logName), name)
	w.added = 0
	blocks, damaged := s.tables[name]
	if !damaged {
		if err := readWindow(s.log.dir.fs, path, w); err == nil {
			return nil
		}
		text, err := readFile(s.log.dir.fs, path)
		if err != nil {
			return err
		}
		salvageBlocks(text, tableBlocks(s.log.dir.fs, path), func(at int, b []byte) bool {
			keys := &keyRange{}
			ok := readBlock(b, keys)
			if ok && keys.first != nil {
				blocks = append(blocks, salvageBlock{int64(at), int64(len(b)), keys.first, keys.last})
			}
			return ok
		})
		s.tables[name] = blocks
	}
	f, err := s.log.dir.fs.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	for _, b := range blocks {
		if bytes.Compare(b.last, w.from) < 0 || bytes.Compare(b.first, w.to) >= 0 {
			continue
		}
		text := make([]byte, b.length+block.TrailerLen-1)
		_, err := f.ReadAt(text, b.at)
		switch {
		case err != nil && !pebble.IsCorruptionError(err):
			return err
		case err == nil && blockIntact(text):
			readBlock(text[:b.length], w)
		}
		if w.full(b.last) {
			break
		}
	}
	return nil
}

// readWindow adds the records of a table that is not damaged there to a window.
func readWindow(fsys vfs.FS, path string, w *window) (err error) {
	r, err := openTable(fsys, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	it, err := r.NewIter(sstable.NoTransforms, w.from, w.to, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for kv := it.SeekGE(w.from, 0); kv != nil; kv = it.Next() {
		v, _, err := kv.Value(nil)
		if err != nil {
			return err
		}
		point(w, kv.K.UserKey, v, uint64(kv.SeqNum()), kv.Kind())
		if w.full(kv.K.UserKey) {
			break
		}
	}
	return it.Error()
}

// window collects records with keys in [from, to). It gets shorter when there are too many.
type window struct {
	p        *partition
	from, to []byte
	maxBytes int // bytes of records
	added    int // bytes, of one table
	records  map[int64]entry
}

// set implements keyVisitor.
func (w *window) set(key, value []byte, _ uint64) {
	if bytes.Compare(key, w.from) < 0 || bytes.Compare(key, w.to) >= 0 {
		return
	}
	offset, err := offsetOf(key)
	if err != nil {
		return
	}
	if _, had := w.records[offset]; had {
		return
	}
	if e, err := w.p.entry(offset, value); err == nil {
		w.records[offset] = e
		w.added += e.size()
	}
}

// del and delRange implement keyVisitor: records go by trims only.
func (*window) del([]byte, uint64)              {}
func (*window) delRange([]byte, []byte, uint64) {}

func (e entry) size() int {
	if e.record == nil {
		return 0
	}
	return recordSize(e.record)
}

// full reports whether a table has added enough. The window then ends behind last.
func (w *window) full(last []byte) bool {
	if w.added < w.maxBytes || w.added == 0 {
		return false
	}
	if end := append(bytes.Clone(last), 0); bytes.Compare(end, w.to) < 0 {
		w.to = end
	}
	return true
}

// cut ends the window where the tables read so far fill it.
func (w *window) cut() {
	if w.added == 0 {
		return
	}
	n := 0
	for _, offset := range slices.Sorted(maps.Keys(w.records)) {
		key := appendRecordKey(nil, w.p.topic.id, w.p.n, offset)
		if n > 0 && n >= w.maxBytes && bytes.Compare(key, w.to) < 0 {
			w.to = key
		}
		if bytes.Compare(key, w.to) >= 0 {
			delete(w.records, offset)
			continue
		}
		n += w.records[offset].size()
	}
}

func (w *window) sorted() (all []entry) {
	for _, offset := range slices.Sorted(maps.Keys(w.records)) {
		all = append(all, w.records[offset])
	}
	return all
}

// keyRange is the keys of records in a block.
type keyRange struct{ first, last []byte }

// set implements keyVisitor.
func (k *keyRange) set(key, _ []byte, _ uint64) {
	if len(key) != recordKeyLen || key[0] != spaceRecord {
		return
	}
	if k.first == nil {
		k.first = bytes.Clone(key)
	}
	k.last = bytes.Clone(key)
}

// del and delRange implement keyVisitor.
func (*keyRange) del([]byte, uint64)              {}
func (*keyRange) delRange([]byte, []byte, uint64) {}
