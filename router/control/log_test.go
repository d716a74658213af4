package control

import (
	"context"
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// silent is a broker that does not answer what is published.
type silent struct {
	infra.Broker
	asked, answer chan struct{}
}

func (s *silent) Publisher(d infra.Durability) message.Publisher { return s }

func (s *silent) Publish(string, ...*message.Message) error {
	s.asked <- struct{}{}
	<-s.answer
	return nil
}

func (s *silent) Close() error { return nil }

// A pause while the broker hung was answered after minutes, when the client had
// long gone: the time it was given did not hold for the broker's part.
func TestPutEndsWithItsContext(t *testing.T) {
	b := inmemory.Open(t, 0, pubsub.Config{})
	if err := b.EnsureTopics(t.Context(), Topics()...); err != nil {
		t.Fatal(err)
	}
	s := &silent{b, make(chan struct{}), make(chan struct{})}
	defer close(s.answer)
	l, err := Open(t.Context(), Config{Broker: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := l.Put(ctx, Record{Kind: Pause, Destination: "crm", On: true})
		done <- err
	}()
	<-s.asked
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// An operator's order to a server that had just been fenced off hung for as long as
// the operator waited: nobody read the record back any more.
func TestPutEndsWithFollow(t *testing.T) {
	b := inmemory.Open(t, 0, pubsub.Config{})
	if err := b.EnsureTopics(t.Context(), Topics()...); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Config{Broker: b})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Follow(ctx, func(Record) {})
	if _, err := l.Put(t.Context(), Record{Kind: Pause, Destination: "crm", On: true}); !errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}
}
