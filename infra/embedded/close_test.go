package embedded

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// TestMain's goleak is the judge of what these leave behind.

func TestCloseBeforeUse(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", t.TempDir()} {
		b := open(t, testConfig(dir))
		require.NoError(t, b.Close())
		require.NoError(t, b.Close())
		require.Error(t, b.EnsureTopics(t.Context(), infra.Topic{Name: topic}))
		require.Error(t, b.Ping(t.Context()))
		require.Error(t, b.Publisher(infra.Durable).Publish(topic, message.NewMessage("1", nil)))
		_, err := b.Subscriber("webhook", infra.SubscriberConfig{})
		require.Error(t, err)
	}
}

// Everybody who calls Close finds the directory free when it returns.
func TestCloseInParallel(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	b := open(t, cfg)
	ensure(t, b, topic)
	subscribe(t, b, "webhook", topic)
	publish(t, b, topic, "u", 0, 3) // offered, and nobody takes it
	var wg sync.WaitGroup
	errs, held := make([]error, 4), make([]bool, 4)
	for i := range errs {
		wg.Go(func() {
			if errs[i] = b.Close(); errs[i] == nil {
				held[i] = b.lock.Close() == nil
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		assert.NoError(t, err)
		assert.False(t, held[i], "returned with the lock held")
	}
}

// What was accepted before Close is there after it; what was refused may be.
func TestCloseWhilePublishing(t *testing.T) {
	t.Parallel()
	cfg := trimming(testConfig(t.TempDir()))
	b := open(t, cfg)
	ensure(t, b, topic)
	const publishers = 6
	accepted := make([]int, publishers)
	started := make(chan struct{}, publishers)
	var wg sync.WaitGroup
	for i := range publishers {
		wg.Go(func() {
			for {
				m := message.NewMessage("", fmt.Append(nil, accepted[i]))
				m.Metadata.Set(infra.MetaKey, fmt.Sprint("user-", i))
				if b.Publisher(infra.Durable).Publish(topic, m) != nil {
					return
				}
				if accepted[i]++; accepted[i] == 5 {
					started <- struct{}{}
				}
			}
		})
	}
	_, in := subscribe(t, b, "webhook", topic)
	receive(t, in) // held by a handler that goes on
	for range publishers {
		<-started
	}
	require.NoError(t, b.Close())
	wg.Wait()

	b = open(t, cfg)
	_, in = subscribe(t, b, "webhook", topic)
	got := make([]int, publishers)
	for i, n := range accepted {
		for got[i] < n {
			m := receive(t, in)
			var user int
			_, err := fmt.Sscanf(m.Metadata.Get(infra.MetaKey), "user-%d", &user)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(got[user]), string(m.Payload), "of user %d", user)
			got[user]++
			m.Ack()
		}
	}
}

// The trimmer may be in the middle of a look.
func TestCloseWhileTrimming(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	cfg.TrimAge = time.Nanosecond // looks as often as it can
	for range 5 {
		b := open(t, cfg)
		p := probe(t, b)
		for i := range 5 {
			ensure(t, b, fmt.Sprint("topic-", i))
			publish(t, b, fmt.Sprint("topic-", i), "u", 0, 2)
		}
		p.did(t, "webhook", "topic-0")
		require.NoError(t, b.Close())
	}
}
