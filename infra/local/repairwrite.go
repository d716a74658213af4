package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"eventserver/infra"
)

// write stores everything but the records, and fills the gaps.
func (r *repairer) write() error {
	b := r.db.NewBatch()
	put := func(key, value []byte) error { return b.Set(key, value, nil) }
	last := uint32(0)
	if v := r.found.meta[string(nextIDKey)].value; len(v) == 4 {
		last = binary.BigEndian.Uint32(v)
	}
	var errs []error
	names := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(r.topics)) {
		t := r.topics[id]
		last = max(last, id)
		if names[t.name] {
			t.name = fmt.Sprintf("recovered.%d", id) // two topics of one name: the older was deleted
		}
		names[t.name] = true
		errs = append(errs, put(topicKey(t.name), t.encode()))
		for n := range t.partitions {
			errs = append(errs, r.writePart(t, n, put))
		}
		r.report.add(t)
	}
	for key, v := range r.found.meta {
		if key[0] != spaceProgress {
			continue
		}
		t := r.topics[binary.BigEndian.Uint32([]byte(key[1:]))]
		if _, n, err := splitProgressKey([]byte(key)); err == nil && t != nil && n < t.partitions {
			if _, err := decodePosition(v.value); err == nil {
				errs = append(errs, put([]byte(key), v.value))
			}
		}
	}
	r.written.sequence++
	r.written.records = 0
	for _, t := range r.topics {
		for _, p := range t.parts {
			r.written.records += uint64(p.end)
		}
	}
	errs = append(errs,
		put(nextIDKey, binary.BigEndian.AppendUint32(nil, last)),
		put(sequenceKey, encodeSequence(r.written.sequence, r.written.records)))
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, b.Close())
	}
	return errors.Join(b.Commit(pebble.Sync), b.Close(), r.db.Flush())
}

// writePart fills the gaps of a partition with holes, which readers skip. The report has
// the lost records. No offset is used twice, also not one of a record that was lost at the
// end. It is unknown which partition had it, so every partition leaves room for it.
func (r *repairer) writePart(t *topicRepair, n int32, put func(key, value []byte) error) error {
	p := t.part(n)
	holes := slices.Clone(p.lost)
	end := p.end
	if r.report.LostRecords > 0 {
		p.end += int64(r.report.LostRecords)
		if k := len(holes); k > 0 && holes[k-1].To == end {
			holes[k-1].To = p.end
		} else {
			holes = append(holes, infra.Span{From: end, To: p.end})
		}
	}
	var errs []error
	for _, h := range holes {
		if h.From >= p.low {
			errs = append(errs, put(appendRecordKey(nil, t.id, n, h.From), encodeHole(p.at, h.To)))
		}
	}
	if p.low > 0 || p.end > 0 {
		errs = append(errs, put(appendPartKey(nil, spaceEnd, t.id, n), encodeEnds(p.low, p.end)))
	}
	return errors.Join(errs...)
}
