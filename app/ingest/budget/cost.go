package budget

import "math"

// What things cost, in bytes, as measured with Go 1.26 (cost_test.go and
// app/ingest/memory_test.go).
const (
	// ConnectionCost is a connection that sends nothing: its goroutine, its
	// buffers and what net/http knows of it.
	ConnectionCost = 16 << 10
	// HeaderByteCost is a byte of a request's head while it is read: names of one
	// letter become entries of a map.
	HeaderByteCost = 26
	// RequestCost is a request beside its connection, HeaderCost one of its
	// headers beside its bytes.
	RequestCost = 4 << 10
	HeaderCost  = 200
	// GzipCost is a decompressor: its window, its tables at their largest, and
	// the extra field of a gzip header.
	GzipCost = 192 << 10
	// SmallRequest is what a request may have of the quarter that is kept for
	// small ones.
	SmallRequest = 128 << 10

	eventCost    = 2 << 10 // an event beside its bytes: as decoded, as a message, and its answer
	metadataCost = 128     // a header that goes with it, beside its bytes
	fieldsCost   = 4 << 10 // its fields, at their longest, three times
	decoderCost  = 6 << 10 // a decoder
	memberCost   = 208     // the name of a member, while its object is read
	valueCost    = 176     // a value, while a schema is applied
)

// Shape is what is known of a body before it is decoded.
type Shape struct {
	Bytes  int // of the body
	Events int
	Batch  bool // an array

	// Of the event that has most of each:
	EventBytes int
	Members    int
	NameBytes  int
	Values     int

	Metadata      int // headers that go with each event
	MetadataBytes int
	Schemas       bool // schemas are applied
}

// Decoding is what it takes to decode and judge a body, until that is done.
func (s Shape) Decoding() int64 {
	n := decoderCost + memberCost*int64(s.Members) + 3*int64(s.NameBytes)
	if s.Schemas {
		n += valueCost*int64(s.Values) + 2*int64(s.EventBytes)
	}
	return n
}

// Decoded is what the events of a body take until they are stored, beside the
// body: their fields and records, and the broker's client's copy of these.
func (s Shape) Decoded() int64 {
	n := int64(s.Events)*(eventCost+metadataCost*int64(s.Metadata)+int64(s.MetadataBytes)) + int64(s.Bytes)
	n += min(3*int64(s.Bytes), fieldsCost*int64(s.Events))
	if s.Batch { // the events' own bytes move together into one message
		n += int64(s.Bytes)
	}
	return n
}

// Buffer is what a buffer of n bytes takes: the allocator rounds up.
func Buffer(n int) int64 { return int64(n) + int64(n)/8 }

const (
	defaultTotal = 128 << 20
	mebi         = 1 << 20
)

// Default is 128 MiB, or more where the limits of requests need it.
func Default(maxBatchBytes, maxEventBytes int64, maxEvents int) int64 {
	return max(defaultTotal, Least(maxBatchBytes, maxEventBytes, maxEvents))
}

// Least is the smallest budget that takes the largest request: the body, which has
// grown into its last buffer, twice more for its events and 16 bytes for each of
// the largest event. An event of more members or values than that (thousands of
// one letter) may not fit, and is refused. It is a whole number of MiB.
func Least(maxBatchBytes, maxEventBytes int64, maxEvents int) int64 {
	largest := GzipCost + SmallRequest + 4*float64(maxBatchBytes) + 16*float64(maxEventBytes) + (eventCost+fieldsCost)*float64(maxEvents)
	return int64(math.Ceil(min(2*largest, math.MaxInt64/4)/mebi)) * mebi
}
