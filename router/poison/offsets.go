package poison

import "github.com/bits-and-blooms/bitset"

// offsets is a set of offsets of one partition: a bit for each between the lowest that may
// be in it and the highest that is.
type offsets struct {
	base int64 // offset of the first bit; a multiple of 64
	bits bitset.BitSet
}

const (
	dropLeast = 1 << 12 // bits that are dropped at once, at least
	// farthest is how far beyond the end of its partition a foreign mark may point: a bit
	// for each offset up to a made-up one would take all memory.
	farthest = 1 << 20
)

// add adds an offset; false: it is in the set already, or lies below it.
func (o *offsets) add(offset int64) bool {
	if offset < o.base || o.has(offset) {
		return false
	}
	o.bits.Set(uint(offset - o.base))
	return true
}

func (o *offsets) has(offset int64) bool {
	return offset >= o.base && o.bits.Test(uint(offset-o.base))
}

// drop frees what lies below an offset that is at least as high as at the last call.
// Offsets below it are not asked for any more.
func (o *offsets) drop(below int64) {
	gone := (below - o.base) &^ 63
	if gone < max(dropLeast, int64(o.bits.Len())/2) {
		return
	}
	o.base += gone
	if uint(gone) >= o.bits.Len() {
		o.bits = bitset.BitSet{}
		return
	}
	words := o.bits.Words()[gone/64:]
	o.bits = *bitset.FromWithLength(o.bits.Len()-uint(gone), append([]uint64(nil), words...))
}
