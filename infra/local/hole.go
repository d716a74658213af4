package local

import "encoding/binary"

// A hole replaces records that a repair found lost. It has the offset of the first one,
// and names the offset where the next record may be. Readers skip it.
//
//	2 | unix nanoseconds (8) | next offset (8)
const (
	holeVersion = 2
	holeLen     = recordHead + 8
)

func encodeHole(at, next int64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{holeVersion}, uint64(at))
	return binary.BigEndian.AppendUint64(b, uint64(next))
}

// holeIn is where a hole ends; ok: the value is one.
func holeIn(b []byte) (next int64, ok bool) {
	if len(b) != holeLen || b[0] != holeVersion {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b[recordHead:])), true
}
