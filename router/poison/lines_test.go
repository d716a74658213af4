package poison

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// slow is a publisher for which every publish takes a while of the world's clock.
type slow struct {
	message.Publisher
	w    *world
	take time.Duration
}

func (s slow) Publish(topic string, msgs ...*message.Message) error {
	s.w.pass(s.take)
	return s.Publisher.Publish(topic, msgs...)
}

// A run wrote a line for each item: 20,005 of a discard of 20,000.
func TestLinesDoNotGrowWithTheItems(t *testing.T) {
	for _, action := range []string{actionRedrive, actionDiscard} {
		for _, items := range []int{1, 2000} {
			w := newWorld(t)
			for i := range items {
				w.put(item{id: fmt.Sprint("e", i), key: fmt.Sprint("k", i%7), sequence: i})
			}
			s := w.service(nil)
			var log bytes.Buffer
			s.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			run, err := do(s, Order{Action: action})
			require.NoError(t, err)
			require.Equal(t, items, run.Redriven+run.Discarded)
			require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
			require.Contains(t, log.String(), fmt.Sprintf("matched=%d ", items))
			require.NoError(t, s.Close())
		}
	}
}

// Of a run that takes long there is a line now and then, and fewer the longer.
func TestLinesOfALongRun(t *testing.T) {
	w := newWorld(t)
	for i := range 200 {
		w.put(item{id: fmt.Sprint("e", i), key: "k", sequence: i})
	}
	s := w.service(slow{w.broker.Publisher(infra.Durable), w, 20 * time.Second})
	s.most = 1 // an item at a time: more than an hour in all
	var log bytes.Buffer
	s.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	_, err := do(s, Order{Action: actionDiscard})
	require.NoError(t, err)
	n := strings.Count(log.String(), `action="discard goes on"`)
	require.True(t, n >= 4 && n <= 8, "%d lines\n%s", n, log.String())
}
