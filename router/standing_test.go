package router

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"

	"eventserver/infra"
)

// electing is a reader on a cluster that needs some seconds to elect a leader.
type electing struct {
	infra.Reader
	takes time.Duration
}

func (e electing) Bounds(ctx context.Context, _ string, _ time.Time) (map[int32]infra.Bounds, error) {
	select {
	case <-time.After(e.takes):
		return map[int32]infra.Bounds{0: {End: 3}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (electing) Scan(context.Context, string, map[int32]infra.Range, func(*message.Message, time.Time) error) error {
	return nil
}

// A broker and a server that were killed together had events transformed twice: what
// stood in the destination's topic was given up on after two seconds, long before the
// topic had a leader again.
func TestLooksForWhatStandsDuringAnElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &standing{id: "a", reader: electing{takes: 9 * time.Second}, log: slog.New(slog.DiscardHandler)}
		out := s.at(t.Context(), infra.Resumption{Note: writeNote(1)})
		assert.NotNil(t, out.Done, "it was looked for")
		assert.Equal(t, writeNote(1), out.Note)
	})
}
