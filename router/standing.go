package router

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/record"
)

// standing finds the events that the transform group has stored in the
// destination's topic and not committed: a kill comes between the two. They are
// not made again, because a receiver would get them twice.
//
// A partition's note is where the destination's topic ended when the group began
// to work through it: what stands before that was made by a run that a replay
// undid, and is made again. A delivery is in the partition of its event's number,
// unless the topics have not equally many or another program placed the event; then
// nothing is found and it is made twice.
type standing struct {
	id     string
	reader infra.Reader
	log    *slog.Logger
}

const (
	standingChunk = 256 // records that are looked at in one go, from the end
	standingMost  = 16 * standingChunk
	// What is not found by then may be made twice. A cluster elects a new leader for the
	// destination's topic meanwhile, without which nothing could be stored either.
	standingTimeout = 15 * time.Second
)

// at is the Resume of infra.SubscriberConfig.
func (s *standing) at(ctx context.Context, at infra.Resumption) infra.Resumed {
	ctx, cancel := context.WithTimeout(ctx, standingTimeout)
	defer cancel()
	out := infra.Resumed{Note: at.Note}
	bounds, err := s.reader.Bounds(ctx, record.DestinationTopic(s.id), time.Time{})
	if err != nil {
		s.told(err)
		return out
	}
	b, there := bounds[at.Partition]
	if !there {
		return out
	}
	from, ok := readNote(at.Note)
	if !ok || from > b.End { // the topic was made anew, or lost its end
		out.Note = writeNote(b.End)
		return out
	}
	from = max(from, b.Oldest, b.End-standingMost)
	out.Done = map[int64]infra.Identity{}
	for to := b.End; to > from; to -= standingChunk {
		found, looked := false, false
		chunk := map[int32]infra.Range{at.Partition: {From: max(from, to-standingChunk), To: to}}
		err := s.reader.Scan(ctx, record.DestinationTopic(s.id), chunk, func(m *message.Message, _ time.Time) error {
			if record.Redrives(m) > 0 { // of any time
				return nil
			}
			looked = true
			if sequence := record.Sequence(m); sequence >= at.Position {
				out.Done[sequence], found = infra.Identity{UUID: record.EventID(m), Key: m.Metadata.Get(infra.MetaKey)}, true
			}
			return nil
		})
		if err != nil {
			s.told(err)
		}
		if err != nil || looked && !found { // further back it is all committed
			break
		}
	}
	return out
}

func (s *standing) told(err error) {
	if !errors.Is(err, context.Canceled) {
		s.log.Warn("cannot look for what was transformed before a kill; some may be sent twice", slog.Any("error", err))
	}
}

// A note is an offset in the destination's topic.
func writeNote(end int64) string { return strconv.FormatInt(end, 10) }

func readNote(note string) (int64, bool) {
	end, err := strconv.ParseInt(note, 10, 64)
	return end, err == nil && end >= 0
}
