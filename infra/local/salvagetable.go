package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// keyVisitor receives the readable content of a damaged directory. seq is Pebble's number of
// a write; 0 where a compaction has dropped it because no older write was left.
type keyVisitor interface {
	set(key, value []byte, seq uint64)
	del(key []byte, seq uint64)
	delRange(from, to []byte, seq uint64)
}

// salvageTable reads everything readable of a table: as Pebble does, or else block by
// block. Blocks have checksums. Their places are in the index. If the index is damaged too,
// blocks are found by their checksums.
func salvageTable(fsys vfs.FS, path string, to keyVisitor) error {
	err := readTable(fsys, path, to)
	if err == nil {
		return nil
	}
	text, readErr := readFile(fsys, path)
	if readErr != nil {
		return readErr
	}
	if lost := salvageBlocks(text, tableBlocks(fsys, path), func(_ int, b []byte) bool { return readBlock(b, to) }); lost > 0 {
		return fmt.Errorf("about %d of %d bytes cannot be read: %w", lost, len(text), err)
	}
	return fmt.Errorf("its index cannot be read, its records can: %w", err)
}

// readTable reads a whole table.
func readTable(fsys vfs.FS, path string, to keyVisitor) (err error) {
	r, err := openTable(fsys, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := readRangeDels(r, to); err != nil {
		return err
	}
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for kv := it.First(); kv != nil; kv = it.Next() {
		v, _, err := kv.Value(nil)
		if err != nil {
			return err
		}
		point(to, kv.K.UserKey, v, uint64(kv.SeqNum()), kv.Kind())
	}
	return it.Error()
}

func point(to keyVisitor, key, value []byte, seq uint64, kind pebble.InternalKeyKind) {
	switch kind {
	case pebble.InternalKeyKindSet, pebble.InternalKeyKindSetWithDelete:
		to.set(key, value, seq)
	case pebble.InternalKeyKindDelete, pebble.InternalKeyKindSingleDelete, pebble.InternalKeyKindDeleteSized:
		to.del(key, seq)
	}
}

func readRangeDels(r *sstable.Reader, to keyVisitor) error {
	it, err := r.NewRawRangeDelIter(context.Background(), sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil || it == nil {
		return err
	}
	defer it.Close()
	span, err := it.First()
	for ; span != nil && err == nil; span, err = it.Next() {
		for _, k := range span.Keys {
			to.delRange(span.Start, span.End, uint64(k.SeqNum()))
		}
	}
	return err
}

// tableBlocks are the data blocks of a table whose index can be read.
func tableBlocks(fsys vfs.FS, path string) []block.Handle {
	r, err := openTable(fsys, path)
	if err != nil {
		return nil
	}
	defer func() { _ = r.Close() }() // only read
	layout, err := r.Layout()
	if err != nil {
		return nil
	}
	handles := make([]block.Handle, len(layout.Data))
	for i := range layout.Data {
		handles[i] = layout.Data[i].Handle
	}
	return handles
}

// salvageBlocks reads the whole data blocks, each with its type behind it, and returns the
// number of unreadable bytes. Without handles it searches the blocks.
func salvageBlocks(text []byte, handles []block.Handle, read func(at int, b []byte) bool) (lost int) {
	for _, h := range handles {
		end := int(h.Offset + h.Length)
		if end+block.TrailerLen > len(text) || !blockIntact(text[h.Offset:end+block.TrailerLen]) || !read(int(h.Offset), text[h.Offset:end+1]) {
			lost += int(h.Length)
		}
	}
	if handles != nil {
		return lost
	}
	search := blockSearch{text: text, steps: searchSteps}
	for at := 0; at < len(text); {
		length := search.blockAt(at, len(text))
		if length == 0 {
			next := search.resync(at)
			lost += next - at
			at = next
			continue
		}
		read(at, text[at:at+length-4]) // the last ones hold no data
		at += length
	}
	return lost
}

func blockIntact(b []byte) bool {
	n := len(b) - 4
	return binary.LittleEndian.Uint32(b[n:]) == storedChecksum(b[:n])
}

// readBlock reads a data block with its type behind it. false: it is no data block.
func readBlock(b []byte, to keyVisitor) (ok bool) {
	defer func() {
		if recover() != nil { // Pebble's decoders trust data with a valid checksum
			ok = false
		}
	}()
	text, kind := b[:len(b)-1], block.CompressionIndicator(b[len(b)-1])
	size := len(text)
	if kind != block.NoCompressionIndicator {
		n, err := block.DecompressedLen(kind, text)
		if err != nil || n > maxBlock {
			return false
		}
		size = n
	}
	data := make([]byte, size, size+64) // aligned, as the decoder wants it
	if kind == block.NoCompressionIndicator {
		copy(data, text)
	} else if err := block.DecompressInto(kind, text, data); err != nil {
		return false
	}
	schema := colblk.DefaultKeySchema(pebble.DefaultComparer, keyBundle)
	var d colblk.DataBlockDecoder
	d.Init(&schema, data)
	var it colblk.DataBlockIter
	it.InitOnce(&schema, pebble.DefaultComparer, nil)
	if err := it.Init(&d, sstable.NoTransforms); err != nil {
		return false
	}
	var kvs []keyValue
	for kv := it.First(); kv != nil; kv = it.Next() {
		v, _, err := kv.Value(nil)
		if err != nil || !knownKey(kv.K.UserKey) {
			return false // of the index, or another that looks like data
		}
		kvs = append(kvs, keyValue{append([]byte(nil), kv.K.UserKey...), append([]byte(nil), v...), uint64(kv.SeqNum()), kv.Kind()})
	}
	for _, kv := range kvs {
		point(to, kv.key, kv.value, kv.seq, kv.kind)
	}
	return it.Error() == nil
}

type keyValue struct {
	key, value []byte
	seq        uint64
	kind       pebble.InternalKeyKind
}

const (
	keyBundle = 16       // of Pebble's default schema of keys
	maxBlock  = 64 << 20 // a block holds one record at least

	// Limits of the search for the block behind a damaged one: its distance, its length,
	// and the work for a table, which is a few seconds.
	resyncAhead  = 256 << 10
	resyncLength = 64 << 10
	searchSteps  = 4 << 30
)

// knownKey reports whether a key is one of codec.go's.
func knownKey(key []byte) bool {
	if len(key) == 0 {
		return false
	}
	switch key[0] {
	case spaceRecord:
		return len(key) == recordKeyLen
	case spaceEnd:
		return len(key) == 1+4+4
	case spaceProgress:
		_, _, err := splitProgressKey(key)
		return err == nil
	case spaceSequence, spaceNextID:
		return len(key) == 1
	case spaceTopic:
		return len(key) > 1
	}
	return false
}

// blockSearch finds blocks by their checksums.
type blockSearch struct {
	text  []byte
	steps int // that are left
}

// blockAt is the length of the block at text[at], its trailer included, when it ends
// before limit; 0: there is none.
func (s *blockSearch) blockAt(at, limit int) int {
	crc := ^uint32(0)
	end := min(limit, len(s.text)) - 4 // text[i] is the type, which the checksum covers
	for i := at; i < end; i++ {
		crc = castagnoli[byte(crc)^s.text[i]] ^ crc>>8
		c := ^crc
		if s.text[i] <= byte(block.MinLZCompressionIndicator) && binary.LittleEndian.Uint32(s.text[i+1:]) == (c>>15|c<<17)+0xa282ead8 {
			s.steps -= i - at
			return i + 5 - at
		}
	}
	s.steps -= max(end-at, 0)
	return 0
}

// resync returns where the next block may begin, behind damage at text[at].
func (s *blockSearch) resync(at int) int {
	for i := at + 1; i < min(at+resyncAhead, len(s.text)) && s.steps > 0; i++ {
		if s.blockAt(i, i+resyncLength) > 0 {
			return i
		}
	}
	return len(s.text)
}
