package attempt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/router/routertest"
	"eventserver/router/schedule"
)

// A destination that goes down, or is paused, kept what it had read: up to a window of
// each partition. It gives it back, and everything comes in order when it is well.
func TestADestinationThatIsDownHoldsItsSlots(t *testing.T) {
	const users, each, slots = 50, 10, 4
	b := inmemory.Open(t, 4, pubsub.Config{WindowKey: each})
	if err := b.EnsureTopics(t.Context(), infra.Topic{Name: "topic"}); err != nil {
		t.Fatal(err)
	}
	for n := range each {
		var msgs []*message.Message
		for u := range users {
			m := message.NewMessage(fmt.Sprint("u", u, "-", n), []byte(strconv.Itoa(n)))
			m.Metadata.Set(infra.MetaKey, fmt.Sprint("u", u))
			msgs = append(msgs, m)
		}
		if err := b.Publisher(infra.Durable).Publish("topic", msgs...); err != nil {
			t.Fatal(err)
		}
	}
	sub, err := b.Subscriber("group", infra.SubscriberConfig{Receipts: true})
	if err != nil {
		t.Fatal(err)
	}
	d := schedule.Config{Concurrency: slots, Breaker: Breaker{Initial: time.Millisecond, Max: time.Millisecond}}
	s := NewScheduler(sub, withDefaults(d), true, time.Minute, routertest.Discard)
	out, err := s.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	down, got := true, map[string][]string{}
	left, all := users*each, make(chan struct{})
	handler := s.verdict(func(msg *message.Message) ([]*message.Message, error) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			s.ended(attemptOf(msg.Context()), schedule.Unavailable, schedule.Asked{}, routertest.ErrPlain)
			return nil, &again{until: time.Now().Add(time.Millisecond), err: routertest.ErrPlain}
		}
		key := msg.Metadata.Get(infra.MetaKey)
		got[key] = append(got[key], string(msg.Payload))
		if left--; left == 0 {
			close(all)
		}
		return nil, nil
	})
	var handlers sync.WaitGroup
	holds := func(what string) {
		t.Helper()
		routertest.Eventually(t, what, func() bool {
			now := s.lock()
			held, most := 0, s.m.Most()
			held, _ = s.m.Held()
			s.unlock(now)
			stats := sub.Stats()
			return most > 0 && held > 0 && held <= most && stats.Messages <= most && stats.Messages+stats.Deferred == users*each
		})
	}
	routertest.Eventually(t, "all is read", func() bool { return sub.Stats().Messages == users*each })
	s.Pause(time.Time{})
	holds("paused")
	s.Resume()
	handlers.Go(func() {
		for msg := range out {
			handlers.Go(func() { _, _ = handler(msg) })
		}
	})
	holds("open")
	mu.Lock()
	down = false
	mu.Unlock()
	select {
	case <-all:
	case <-time.After(30 * time.Second):
		t.Fatal("not all was delivered")
	}
	if err := errors.Join(s.Drain(context.Background()), s.Close()); err != nil {
		t.Error(err)
	}
	handlers.Wait()
	for key, of := range got {
		if !slices.Equal(of, numbered(each)) {
			t.Errorf("%s got %v", key, of)
		}
	}
}

func numbered(n int) (all []string) {
	for i := range n {
		all = append(all, strconv.Itoa(i))
	}
	return all
}
