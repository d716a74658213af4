package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
)

// Poison records carry these beside the headers of what was given up.
const (
	hPoison         = "es_poison_" // begins their names
	hPoisonStage    = "es_poison_stage"
	hPoisonReason   = "es_poison_reason"
	hPoisonDetail   = "es_poison_detail"
	hPoisonAttempts = "es_poison_attempts"
	hPoisonFirst    = "es_poison_first"
	hPoisonLast     = "es_poison_last"

	// Those of a record that the broker had no room for.
	hPoisonLeftOut = "es_poison_left_out" // parts, separated by commas
	hPoisonSource  = "es_poison_source"   // topic/partition:offset of what was given up
	hPoisonSize    = "es_poison_size"     // bytes of its body
	hPoisonSum     = "es_poison_sum"      // SHA-256 of its body
)

// Parts of a poison record, in the order in which they are left out while it is larger
// than the broker takes.
const (
	PartBody    = "body"
	PartHeaders = "headers" // for the receiver, es_header_
	PartOther   = "other"   // headers that are not ours
	PartContext = "context" // of the event, es_meta_
	PartLong    = "long"    // what is longer than longValue of the rest, such as the key
)

var poisonParts = []string{PartBody, PartHeaders, PartOther, PartContext, PartLong}

// longValue is what PartLong leaves of a value and of a name, in bytes. There are some
// twenty values then, far below the 1 MiB that every broker takes.
const longValue = 1024

// GivenUp is a record of a poison queue.
type GivenUp struct {
	EventID, EventType, Key, Destination string
	Stage                                string // transform or deliver
	Reason                               string // small enum, see package metrics
	Detail                               string // what went wrong, at most 1 KiB, cleaned
	Attempts                             int
	First, Last                          time.Time // of the attempts
	ReceivedAt                           time.Time
	Sequence                             int64
	Redrives                             int // times that it was redriven before
	Body                                 []byte
	Size                                 int      // of the body, also where that is left out
	LeftOut                              []string // Part...; nil: it is whole
	Source                               Source   // of what is left out
}

// Source is where the record is that was given up.
type Source struct {
	Topic string // "": not known
	At    Position
}

// String implements fmt.Stringer.
func (s Source) String() string {
	if s.Topic == "" {
		return ""
	}
	return s.Topic + "/" + s.At.String()
}

func parseSource(text string) Source {
	topic, at, _ := strings.Cut(text, "/")
	pos, err := ParsePosition(at)
	if err != nil || topic == "" {
		return Source{}
	}
	return Source{topic, pos}
}

// EncodePoison puts what g says of why msg was given up beside the headers of msg: its
// Stage, Reason, Detail, Attempts, First and Last.
func EncodePoison(msg *message.Message, g GivenUp) *message.Message {
	out := message.NewMessage(msg.UUID, msg.Payload)
	out.Metadata = travelling(msg, g.Stage)
	out.Metadata[hPoisonStage] = g.Stage
	out.Metadata[hPoisonReason] = g.Reason
	out.Metadata[hPoisonDetail] = g.Detail
	out.Metadata[hPoisonAttempts] = strconv.Itoa(g.Attempts)
	out.Metadata[hPoisonFirst] = g.First.UTC().Format(time.RFC3339Nano)
	out.Metadata[hPoisonLast] = g.Last.UTC().Format(time.RFC3339Nano)
	return out
}

// travelling are the headers of a record that its poison record has too. Others write
// to the topics as well: of the names that are ours only those go on that the stage
// itself reads. What a foreign record calls a mark is none.
func travelling(msg *message.Message, stage string) message.Metadata {
	const more = 10 // that are added
	md := make(message.Metadata, len(msg.Metadata)+more)
	_, redriven := DecodeRedrive(msg)
	for name, value := range msg.Metadata {
		switch {
		case !strings.HasPrefix(name, "es_"), name == HeaderReceived, strings.HasPrefix(name, hMeta):
		case stage != StageDeliver: // the offset is the sequence, and nothing else was set
			continue
		case name == hSequence, strings.HasPrefix(name, hHeader):
		case redriven && (name == hRedrives || name == hRedriveOf || name == hRedriveRun || name == hRedrivenAt):
		default:
			continue
		}
		md[name] = value
	}
	if md[hSequence] == "" {
		md[hSequence] = strconv.FormatInt(infra.Offset(msg), 10)
	}
	return md
}

// Lighter is a poison record with one part less, for a broker that it is too large for;
// nil: there is nothing more to leave out.
func Lighter(rec *message.Message) *message.Message {
	leftOut := splitParts(rec.Metadata[hPoisonLeftOut])
	if len(leftOut) == len(poisonParts) {
		return nil
	}
	out := message.NewMessage(rec.UUID, nil)
	out.SetContext(rec.Context())
	out.Metadata = maps.Clone(rec.Metadata)
	part := poisonParts[len(leftOut)]
	switch part {
	case PartBody:
		sum := sha256.Sum256(rec.Payload)
		source := Source{rec.Metadata[infra.MetaTopic], PositionOf(rec)}
		set(out.Metadata, hPoisonSource, source.String())
		out.Metadata[hPoisonSize], out.Metadata[hPoisonSum] = strconv.Itoa(len(rec.Payload)), hex.EncodeToString(sum[:])
	case PartLong:
		if len(out.UUID) > longValue {
			out.UUID = rec.Metadata[hPoisonSum]
		}
	}
	maps.DeleteFunc(out.Metadata, func(name, value string) bool { return leaves(part, name, value) })
	out.Metadata[hPoisonLeftOut] = strings.Join(append(leftOut, part), ",")
	return out
}

func splitParts(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// leaves reports whether a header goes with a part.
func leaves(part, name, value string) bool {
	switch part {
	case PartHeaders:
		return strings.HasPrefix(name, hHeader)
	case PartOther:
		return !ours(name)
	case PartContext:
		return strings.HasPrefix(name, hMeta)
	case PartLong:
		return len(name) > longValue || len(value) > longValue
	}
	return false
}

// ours reports whether a header is one of event-server, or of a broker.
func ours(name string) bool {
	switch name {
	case hSpecVersion, HeaderID, HeaderType, hSource, hTime, hContentType, infra.MetaKey, infra.MetaTopic, infra.MetaPartition, infra.MetaOffset:
		return true
	}
	return strings.HasPrefix(name, "es_")
}

// ErrOther is the error of Whole where the source has another record at that place.
var ErrOther = errors.New("it holds another record there now")

// Whole is a poison record with all that was left out of it, which source has: the
// record that was given up.
func Whole(poison, source *message.Message) (*message.Message, error) {
	md := poison.Metadata
	sum := sha256.Sum256(source.Payload)
	if hex.EncodeToString(sum[:]) != md[hPoisonSum] || md[HeaderID] != "" && md[HeaderID] != source.Metadata[HeaderID] {
		return nil, ErrOther
	}
	out := message.NewMessage(source.UUID, source.Payload)
	out.Metadata = travelling(source, md[hPoisonStage])
	for name, value := range md {
		if strings.HasPrefix(name, hPoison) || name == hSequence || name == infra.MetaTopic || name == infra.MetaPartition || name == infra.MetaOffset {
			out.Metadata[name] = value
		}
	}
	return out, nil
}

// DecodePoison reads a record of a poison queue. What cannot be read stays
// zero: a poison queue must be listable whatever is in it.
func DecodePoison(destination string, msg *message.Message) GivenUp {
	md := msg.Metadata
	g := GivenUp{
		EventID: md[HeaderID], EventType: md[HeaderType], Key: md[infra.MetaKey], Destination: destination,
		Stage: md[hPoisonStage], Reason: md[hPoisonReason], Detail: md[hPoisonDetail], Body: msg.Payload, Size: len(msg.Payload),
		LeftOut: splitParts(md[hPoisonLeftOut]), Source: parseSource(md[hPoisonSource]),
	}
	g.Attempts, _ = strconv.Atoi(md[hPoisonAttempts])
	g.First, _ = time.Parse(time.RFC3339Nano, md[hPoisonFirst])
	g.Last, _ = time.Parse(time.RFC3339Nano, md[hPoisonLast])
	g.ReceivedAt, _ = time.Parse(time.RFC3339Nano, md[HeaderReceived])
	g.Sequence, _ = strconv.ParseInt(md[hSequence], 10, 64)
	g.Redrives = Redrives(msg)
	if n, err := strconv.Atoi(md[hPoisonSize]); err == nil && len(g.LeftOut) > 0 {
		g.Size = n
	}
	return g
}

// Classes of what a poison queue holds.
const (
	ClassPipeline = "pipeline" // it never was a delivery: undecodable, transform, filter, schema
	ClassReceiver = "receiver" // the receiver did not take it: permanent, attempts, age
)

// ClassOf is the class of a poison record's reason.
func ClassOf(reason string) string {
	switch reason {
	case metrics.ReasonPermanent, metrics.ReasonAttempts, metrics.ReasonAge:
		return ClassReceiver
	}
	return ClassPipeline
}

// Reasons lists those of a class, or of both with "".
func Reasons(class string) []string {
	pipeline := []string{metrics.ReasonUndecodable, metrics.ReasonTransform, metrics.ReasonFilter, metrics.ReasonSchema}
	receiver := []string{metrics.ReasonPermanent, metrics.ReasonAttempts, metrics.ReasonAge}
	switch class {
	case ClassPipeline:
		return pipeline
	case ClassReceiver:
		return receiver
	}
	return append(pipeline, receiver...)
}

// Transforms reports whether a poison record has to be transformed again,
// because it was given up before it was a delivery.
func (g GivenUp) Transforms() bool { return g.Stage == StageTransform }

// PoisonHeaders are the headers of a poison record, without those that GivenUp
// has. The event's context and the payload's own headers may hold what only the
// receiver should see: they are there with all alone.
func PoisonHeaders(msg *message.Message, all bool) map[string]string {
	out := map[string]string{}
	for k, v := range msg.Metadata {
		switch {
		case k == infra.MetaKey, k == infra.MetaTopic, k == infra.MetaPartition, k == infra.MetaOffset, strings.HasPrefix(k, hPoison):
		case !all && (strings.HasPrefix(k, hMeta) || strings.HasPrefix(k, hHeader)):
		default:
			out[k] = v
		}
	}
	return out
}
