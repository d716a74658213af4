package local

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// load reads the data that are kept in memory: topics, ends of partitions, progress.
func (l *Log) load() error {
	byName, byID := map[string]*topic{}, map[uint32]*topic{}
	l.topics.byName.Store(&byName)
	if err := l.number(sequenceKey, func(v []byte) (ok bool) {
		l.committer.seq, l.committer.records, ok = decodeSequence(v)
		return ok
	}); err != nil {
		return err
	}
	if err := l.number(nextIDKey, func(v []byte) bool {
		if len(v) == 4 {
			l.committer.nextID = binary.BigEndian.Uint32(v)
			l.topics.last = l.committer.nextID
		}
		return len(v) == 4
	}); err != nil {
		return err
	}
	if err := l.each(spaceTopic, func(key, v []byte) error {
		m, err := decodeTopic(v)
		if err != nil {
			return err
		}
		t := newTopic(string(key[1:]), m)
		byName[t.name], byID[t.id] = t, t
		l.topicFile.change(t.id, []*topic{t}, nil)
		return nil
	}); err != nil {
		return err
	}
	if err := l.each(spaceEnd, func(key, v []byte) error {
		p, err := partitionOf(byID, key)
		if p != nil {
			p.low, p.end, err = decodeEnds(v)
		}
		return err
	}); err != nil {
		return err
	}
	if err := l.loadEnds(byName); err != nil {
		return err
	}
	return l.each(spaceProgress, func(key, v []byte) error {
		t := byID[binary.BigEndian.Uint32(key[1:])]
		if t == nil {
			return nil
		}
		group, n, err := splitProgressKey(key)
		if err != nil {
			return err
		}
		if _, err := t.partition(n); err != nil {
			return err
		}
		k := l.groups.of(t, group, n)
		k.known = true
		k.position, err = decodePosition(v)
		return err
	})
}

func (l *Log) number(key []byte, set func([]byte) bool) error {
	v, closer, err := l.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ok := set(v)
	if err := closer.Close(); err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the number under %q is malformed", key)
	}
	return nil
}

// each calls f for every key of a space.
func (l *Log) each(space byte, f func(key, v []byte) error) (err error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := f(it.Key(), v); err != nil {
			return err
		}
	}
	return nil
}

func partitionOf(byID map[uint32]*topic, key []byte) (*partition, error) {
	if len(key) != 1+4+4 {
		return nil, errors.New("a partition's key is malformed")
	}
	t := byID[binary.BigEndian.Uint32(key[1:])]
	if t == nil {
		return nil, nil
	}
	return t.partition(int32(binary.BigEndian.Uint32(key[5:])))
}

// loadEnds finds the end of every partition.
func (l *Log) loadEnds(topics map[string]*topic) (err error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceRecord}, UpperBound: []byte{spaceRecord + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for _, t := range topics {
		for _, p := range t.parts {
			from, to := partSpan(t.id, p.n)
			if it.SeekLT(to) && string(it.Key()) >= string(from) {
				offset, err := offsetOf(it.Key())
				if err != nil {
					return err
				}
				v, err := it.ValueAndErr()
				if err != nil {
					return err
				}
				if p.last, err = timeOf(v); err != nil {
					return err
				}
				p.end = max(p.end, offset+1)
				if next, ok := holeIn(v); ok {
					p.end = max(p.end, next)
				}
			} else if err := it.Error(); err != nil {
				return err
			}
			p.next = p.end
		}
	}
	return nil
}
