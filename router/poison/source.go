package poison

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/record"
)

// goneError says that a source does not have what an item lacks.
type goneError struct {
	source record.Source
	size   int
	why    string
}

func (g *goneError) Error() string {
	return fmt.Sprintf("the poison queue had no room for its body of %d bytes, and topic %s does not have it any more: %s", g.size, g.source, g.why)
}

// complete gives an item the record that it was made of. The error is a *goneError
// where that is not there any more.
func (s *Service) complete(ctx context.Context, e *entry) error {
	gone := func(why string) error { return &goneError{e.Source, e.Size, why} }
	topic, at := e.Source.Topic, e.Source.At
	if topic != record.EventsTopic && topic != record.DestinationTopic(e.Destination) {
		return gone("where it was is not known")
	}
	bounds, err := s.cfg.Broker.Bounds(ctx, topic, time.Time{})
	if errors.Is(err, infra.ErrNoTopic) {
		return gone("the topic was deleted")
	}
	if err != nil {
		return err
	}
	b, there := bounds[at.Partition]
	switch {
	case !there || at.Offset >= b.End:
		return gone("the topic was made anew")
	case at.Offset < b.Oldest:
		return gone("the record was deleted with all others of its time")
	}
	var source *message.Message
	err = s.cfg.Broker.Scan(ctx, topic, map[int32]infra.Range{at.Partition: {From: at.Offset, To: at.Offset + 1}}, func(m *message.Message, _ time.Time) error {
		source = m
		return nil
	})
	switch {
	case errors.Is(err, infra.ErrNoTopic):
		return gone("the topic was deleted")
	case infra.Readable(err) != nil:
		return err
	case err != nil:
		return gone("the record is damaged")
	case source == nil:
		return gone("the record was deleted")
	}
	whole, err := record.Whole(e.msg, source)
	if err != nil {
		return gone(err.Error())
	}
	e.msg = whole
	return nil
}

// fromSource is an item with what its source has of it.
func (s *Service) fromSource(ctx context.Context, e *entry, payload bool) (Record, error) {
	var gone *goneError
	err := s.complete(ctx, e)
	switch {
	case errors.As(err, &gone):
		r := recordOf(e, payload)
		r.DataBase64, r.Gone = nil, gone.why
		return r, nil
	case err != nil:
		return Record{}, err
	}
	return recordOf(e, payload), nil
}
