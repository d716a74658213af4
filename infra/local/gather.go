package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// contents has the readable content of a directory. Records never change, so they are
// written to the new directory at once. The few other keys are in memory.
type contents struct {
	db    *pebble.DB
	batch *pebble.Batch
	meta  map[string]versionedValue
	dels  []deletion
	files []FileDamage
	err   error // of writing
}

// versionedValue is a value with its version.
type versionedValue struct {
	value []byte
	seq   uint64 // Pebble's
}

// deletion deletes older keys in [from, to).
type deletion struct {
	from, to string
	seq      uint64
}

// FileDamage is a damaged file.
type FileDamage struct {
	File string // below the directory
	Err  error
}

const gatherBytes = 1 << 20

// gather reads every table and write-ahead log in dir, also files that no manifest names.
// Duplicate and old values do no harm: the newest counts.
func gather(ctx context.Context, fsys vfs.FS, dir string, db *pebble.DB) (*contents, error) {
	g := &contents{db: db, batch: db.NewBatch(), meta: map[string]versionedValue{}}
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, g.batch.Close())
		}
		path := fsys.PathJoin(dir, name)
		number, _, isLog := wal.ParseLogFilename(name)
		var err error
		switch {
		case isLog:
			err = salvageLog(fsys, path, uint64(number), g.replay)
		case strings.HasSuffix(name, ".sst"):
			err = salvageTable(fsys, path, g)
		}
		if err != nil {
			g.files = append(g.files, FileDamage{fsys.PathJoin(logName, name), err})
		}
	}
	g.write(0)
	return g, errors.Join(g.err, g.batch.Close())
}

// replay reads a batch of a write-ahead log.
func (g *contents) replay(text []byte) {
	head, ok := batchrepr.ReadHeader(text)
	if !ok {
		return
	}
	seq := uint64(head.SeqNum)
	for ops := batchrepr.Read(text); ; {
		kind, key, value, ok, err := ops.Next()
		if !ok || err != nil {
			return
		}
		switch kind {
		case pebble.InternalKeyKindLogData:
			continue // has no number
		case pebble.InternalKeyKindRangeDelete:
			g.delRange(key, value, seq)
		default:
			point(g, key, value, seq, kind)
		}
		seq++
	}
}

func (g *contents) set(key, value []byte, seq uint64) {
	if !knownKey(key) {
		return
	}
	if key[0] == spaceRecord {
		_, hole := holeIn(value)
		if _, err := timeOf(value); err == nil && (hole || isRecord(value)) {
			g.err = errors.Join(g.err, g.batch.Set(key, value, nil))
			g.write(gatherBytes)
		}
		return
	}
	old, ok := g.meta[string(key)]
	if !ok || newer(key[0], old, versionedValue{value, seq}) {
		g.meta[string(key)] = versionedValue{bytes.Clone(value), seq}
	}
}

func isRecord(value []byte) bool {
	_, err := decodeRecord(value)
	return err == nil
}

// newer reports whether b is newer than a, of a key in space.
func newer(space byte, a, b versionedValue) bool {
	switch space {
	case spaceSequence, spaceEnd, spaceProgress: // they begin with a number that only rises
		x, _ := binary.Uvarint(a.value)
		y, _ := binary.Uvarint(b.value)
		return y > x
	case spaceNextID:
		return bytes.Compare(b.value, a.value) > 0
	case spaceTopic:
		x, errX := decodeTopic(a.value)
		y, errY := decodeTopic(b.value)
		return errX != nil || errY == nil && y.id > x.id
	}
	return b.seq > a.seq
}

func (g *contents) del(key []byte, seq uint64) {
	g.dels = append(g.dels, deletion{string(key), string(key) + "\x00", seq})
}

func (g *contents) delRange(from, to []byte, seq uint64) {
	g.dels = append(g.dels, deletion{string(from), string(to), seq})
}

// write stores the gathered records when there are enough.
func (g *contents) write(atLeast int) {
	if g.batch.Len() < atLeast || g.batch.Empty() {
		return
	}
	g.err = errors.Join(g.err, g.db.Apply(g.batch, pebble.NoSync))
	g.batch.Reset()
}

// settle applies the deletions. A deleted record never returns, because offsets and numbers
// of topics are used once.
func (g *contents) settle() error {
	for _, d := range g.dels {
		switch {
		case d.from != "" && d.from[0] == spaceRecord && d.to <= string(rune(spaceRecord+1)):
			if err := g.db.DeleteRange([]byte(d.from), []byte(d.to), pebble.NoSync); err != nil {
				return err
			}
		default:
			for key, v := range g.meta {
				if key >= d.from && key < d.to && v.seq < d.seq {
					delete(g.meta, key)
				}
			}
		}
	}
	return nil
}
