package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"eventserver/infra"
)

// Repair copies everything readable of the directory from to the directory to, which must
// be missing or empty. It reports what is lost. from is not changed. A failed repair leaves
// a directory that no server opens.
func Repair(ctx context.Context, from, to string) (*Report, error) {
	source, err := filepath.Abs(from)
	if err != nil {
		return nil, err
	}
	target, err := filepath.Abs(to)
	if err != nil {
		return nil, err
	}
	if isWithin(source, target) {
		return nil, fmt.Errorf("repair: %s is within %s, which is not to be changed: %w", to, from, ErrTarget)
	}
	lock, err := lockDirectory(source, true)
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("repair: %s is %w: stop it first", from, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	defer func() { _ = lock.Close() }() // nothing was written
	if _, err := os.Stat(filepath.Join(source, logName)); err != nil {
		return nil, fmt.Errorf("repair: there is no %s in %s: nothing can be copied: %w", logName, from, err)
	}
	d, _, err := newDirectory(target)
	if err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	report, err := repair(ctx, &directory{path: from, fs: diskFS(), lock: noLock{}}, d)
	if err := errors.Join(err, d.close()); err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	report.From, report.To = from, to
	return report, nil
}

// repairer copies one directory to another.
type repairer struct {
	from, to *directory
	db       *pebble.DB
	found    *contents
	topics   map[uint32]*topicRepair
	report   *Report

	last    position // in the mark
	written position // the newest that was found
}

// topicRepair is a topic with records or progress.
type topicRepair struct {
	namedTopic
	unnamed bool
	parts   map[int32]*partRepair
}

// partRepair is the readable rest of a partition.
type partRepair struct {
	low, end int64 // as far as they are known
	bounded  bool  // they were read
	at       int64 // time of the newest record that was seen
	records  int64
	lost     []infra.Span
}

func (t *topicRepair) part(n int32) *partRepair {
	p := t.parts[n]
	if p == nil {
		p = &partRepair{}
		t.parts[n] = p
	}
	return p
}

func repair(ctx context.Context, from, to *directory) (*Report, error) {
	r := &repairer{from: from, to: to, report: &Report{}}
	r.lookAt()
	db, err := pebble.Open(to.file(logName), &pebble.Options{
		FS: to.fs, FormatMajorVersion: pebble.FormatNewest, MemTableSize: memTableBytes, Logger: discardLogger{},
	})
	if err != nil {
		return nil, err
	}
	r.db = db
	if err := r.copy(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	now := position{sequence: r.written.sequence, records: r.written.records}
	if err := createMark(to.fs, to.file(markName), now); err != nil {
		return nil, err
	}
	if err := writeSynced(to.fs, to.path, reportName, []byte(r.report.String())); err != nil {
		return nil, err
	}
	return r.report, to.created()
}

// reportName is the file with the report of a repair.
const reportName = "repair.txt"

// lookAt returns the reason why a server would not start.
func (r *repairer) lookAt() {
	if _, err := readFormat(r.from.fs, r.from.file(formatName)); err != nil {
		r.damaged(formatName, err)
	}
	var err error
	if r.last, _, err = readMark(r.from.fs, r.from.file(markName)); err != nil {
		r.damaged(markName, err)
		r.report.NoMark = true
	} else if _, err := r.from.examine(); err != nil {
		var refused *damagedError
		if errors.As(err, &refused) {
			r.damaged(refused.file, refused.err)
		}
	}
}

func (r *repairer) damaged(file string, err error) {
	r.report.Files = append(r.report.Files, FileDamage{file, err})
}

func (r *repairer) copy(ctx context.Context) (err error) {
	if r.found, err = gather(ctx, r.from.fs, r.from.file(logName), r.db); err != nil {
		return err
	}
	for _, f := range r.found.files {
		r.report.Files = slices.DeleteFunc(r.report.Files, func(g FileDamage) bool { return g.File == f.File })
		r.report.Files = append(r.report.Files, f)
	}
	if err := r.found.settle(); err != nil {
		return err
	}
	r.written.sequence, r.written.records, _ = decodeSequence(r.found.meta[string(sequenceKey)].value)
	if r.last.sequence > r.written.sequence {
		r.report.LostWrites = r.last.sequence - r.written.sequence
		r.written = r.last
	}
	if err := r.readTopics(); err != nil {
		return err
	}
	r.readBounds()
	if err := r.findGaps(ctx); err != nil {
		return err
	}
	ends := uint64(0)
	for _, t := range r.topics {
		for _, p := range t.parts {
			ends += uint64(p.end)
		}
	}
	if r.written.records > ends {
		r.report.LostRecords = r.written.records - ends
	}
	return r.write()
}

// readTopics finds the topics in Pebble, and lost names in the topic file.
func (r *repairer) readTopics() error {
	r.topics = map[uint32]*topicRepair{}
	add := func(t namedTopic, unnamed bool) {
		r.topics[t.id] = &topicRepair{namedTopic: t, unnamed: unnamed, parts: map[int32]*partRepair{}}
	}
	last, listed, fileErr := readTopics(r.from.fs, r.from.file(topicsName))
	gone := map[uint32]bool{}
	for key, v := range r.found.meta {
		if key[0] != spaceTopic {
			continue
		}
		m, err := decodeTopic(v.value)
		if err != nil {
			continue
		}
		if fileErr == nil && m.id <= last && !slices.ContainsFunc(listed, func(t namedTopic) bool { return t.id == m.id }) {
			gone[m.id] = true // records of a deleted topic in a file
			continue
		}
		add(namedTopic{key[1:], m}, false)
	}
	for _, t := range listed {
		if r.topics[t.id] == nil {
			add(t, false)
		}
	}
	// Records and progress of a topic whose name is lost.
	return r.eachTopicNumber(func(id uint32, partition int32) error {
		t := r.topics[id]
		switch {
		case t != nil && partition < t.partitions:
			return nil
		case t != nil && t.unnamed:
			t.partitions = partition + 1
			return nil
		case t == nil && !gone[id] && (fileErr != nil || id > last):
			add(namedTopic{fmt.Sprintf("recovered.%d", id), topicMeta{id: id, partitions: partition + 1, keep: true}}, true)
			return nil
		}
		from, to := appendPartKey(nil, spaceRecord, id, partition), appendPartKey(nil, spaceRecord, id, partition+1)
		return r.db.DeleteRange(from, to, pebble.NoSync)
	})
}

// eachTopicNumber calls f for every partition that has records.
func (r *repairer) eachTopicNumber(f func(id uint32, partition int32) error) (err error) {
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceRecord}, UpperBound: []byte{spaceRecord + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; {
		id, n := binary.BigEndian.Uint32(it.Key()[1:]), int32(binary.BigEndian.Uint32(it.Key()[5:]))
		if err := f(id, n); err != nil {
			return err
		}
		ok = it.SeekGE(appendPartKey(nil, spaceRecord, id, n+1))
	}
	return nil
}

// readBounds reads the known bounds of partitions. A partition has at least the records
// that a group has done.
func (r *repairer) readBounds() {
	for key, v := range r.found.meta {
		switch key[0] {
		case spaceEnd:
			t := r.topics[binary.BigEndian.Uint32([]byte(key[1:]))]
			if low, end, err := decodeEnds(v.value); err == nil && t != nil {
				p := t.part(int32(binary.BigEndian.Uint32([]byte(key[5:]))))
				p.low, p.end, p.bounded = low, max(p.end, end), true
			}
		case spaceProgress:
			t := r.topics[binary.BigEndian.Uint32([]byte(key[1:]))]
			_, n, err := splitProgressKey([]byte(key))
			pos, posErr := decodePosition(v.value)
			if err == nil && posErr == nil && t != nil && n < t.partitions {
				p := t.part(n)
				p.end = max(p.end, pos.Next)
			}
		}
	}
}

// findGaps finds the gaps in the copied records.
func (r *repairer) findGaps(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(r.topics)) {
		t := r.topics[id]
		for n := range t.partitions {
			if err := errors.Join(ctx.Err(), r.gapsIn(t, n)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *repairer) gapsIn(t *topicRepair, n int32) (err error) {
	p := t.part(n)
	if p.bounded {
		if err := r.db.DeleteRange(appendRecordKey(nil, t.id, n, 0), appendRecordKey(nil, t.id, n, p.low), pebble.NoSync); err != nil {
			return err
		}
	}
	from, to := partSpan(t.id, n)
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	want := p.low
	first := true
	for ok := it.First(); ok; ok = it.Next() {
		offset, err := offsetOf(it.Key())
		if err != nil {
			return err
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if first && !p.bounded {
			p.low, first = offset, false
		}
		if offset > want {
			p.lost = append(p.lost, infra.Span{From: want, To: offset})
		}
		if next, ok := holeIn(v); ok {
			want = max(want, next)
			continue
		}
		if p.at, err = timeOf(v); err != nil {
			return err
		}
		want = max(want, offset+1)
		p.records++
	}
	if !p.bounded && p.records == 0 {
		p.low = p.end
	}
	if p.end > want {
		p.lost = append(p.lost, infra.Span{From: want, To: p.end})
	}
	p.end = max(p.end, want)
	return nil
}
