package kafka

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// lines is a log that a test reads while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// A full window is seen in the metrics and told once, not for each partition
// and message; so is its end. Meanwhile the member stays in its group.
func TestFullWindowIsVisible(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := testConfig(cluster(t).ListenAddrs()...)
	cfg.Partitions, cfg.WindowMessages, cfg.SessionTimeout = 2, 5, 500*time.Millisecond
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b := open(t, cfg)
	ensure(t, b, topic)
	for k := range 100 {
		publish(t, b, fmt.Sprint("k", k), k, 1)
	}
	s, in := subscribe(t, b)
	stats := func() infra.Stats { return s.Stats() }
	var held []*message.Message
	for range 10 { // five of each partition
		held = append(held, receive(t, in))
	}
	const full, room = "read window full", "read window has room"
	require.Eventually(t, func() bool { return log.count(full) == 1 && stats().Window == 1 }, timeout, 5*time.Millisecond)
	<-time.After(3 * cfg.SessionTimeout) // it would be thrown out by now if the stall stopped the heartbeats
	assert.NoError(t, held[0].Context().Err(), "the claim goes on")
	assert.Zero(t, log.count(room))
	for done := 0; done < 100; {
		for _, m := range held {
			m.Ack()
			done++
		}
		held = held[:0]
		if done < 100 {
			held = append(held, receive(t, in))
		}
	}
	require.Eventually(t, func() bool { return log.count(room) > 0 && stats().Window == 0 }, timeout, 5*time.Millisecond)
	assert.Equal(t, log.count(full), log.count(room), "each stall ends")
	require.NoError(t, s.Close())
}

// What a cluster's retention deletes while it is deferred is told as lost, and
// the rest is delivered: nothing waits for ever for records that are gone.
func TestDeferredRecordsThatAreDeleted(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := testConfig(cluster(t).ListenAddrs()...)
	cfg.Partitions, cfg.WindowMessages, cfg.WindowKey = 1, 100, 4
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b := open(t, cfg)
	ensure(t, b, topic)
	publish(t, b, "busy", 0, 50)
	publish(t, b, "other", 50, 1)
	s, in := subscribe(t, b)
	var held []*message.Message
	for range 5 { // four of the busy one, and the other
		held = append(held, receive(t, in))
	}
	require.NoError(t, b.admin.DeleteRecords(topic, map[int32]int64{0: 30}))
	for _, m := range held {
		m.Ack()
	}
	seen := map[string]bool{}
	for len(seen) < 20 { // 30 to 49
		m := receive(t, in)
		seen[string(m.Payload)] = true
		m.Ack()
	}
	assert.True(t, seen["30"] && seen["49"], "%v", seen)
	assert.Equal(t, 1, log.count("deleted by the topic's retention"))
	require.Eventually(t, func() bool { n, err := infra.LagOf(t.Context(), b, group, topic); return err == nil && n == 0 }, timeout, 10*time.Millisecond)
	require.NoError(t, s.Close())
}
