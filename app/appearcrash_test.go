package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/router/control"
	"eventserver/router/record"
)

var errKilled = errors.New("killed")

// dying is a broker of a process that is killed at its nth step.
type dying struct {
	infra.Broker
	left int
}

func (b *dying) step() error {
	if b.left--; b.left < 0 {
		return errKilled
	}
	return nil
}

func (b *dying) EnsureTopics(ctx context.Context, topics ...infra.Topic) error {
	if err := b.step(); err != nil {
		return err
	}
	return b.Broker.EnsureTopics(ctx, topics...)
}

func (b *dying) Reset(ctx context.Context, group, topic string, to map[int32]int64) error {
	if err := b.step(); err != nil {
		return err
	}
	return b.Broker.Reset(ctx, group, topic, to)
}

func (b *dying) Publisher(d infra.Durability) message.Publisher {
	return dyingPublisher{b.Broker.Publisher(d), b}
}

type dyingPublisher struct {
	message.Publisher
	b *dying
}

func (p dyingPublisher) Publish(topic string, msgs ...*message.Message) error {
	if err := p.b.step(); err != nil {
		return err
	}
	return p.Publisher.Publish(topic, msgs...)
}

// Wherever a kill comes at the first start of a destination, the next start has it
// begin where the first one decided: what is accepted after that decision is sent, and
// what was before is not.
func TestFromSurvivesAKillAtEveryStep(t *testing.T) {
	for steps := range 12 {
		b := inmemory.Open(t, 2, pubsub.Config{})
		ctx := t.Context()
		accept := func(n int) {
			for i := range n {
				m := record.EncodeEvent(destinations.Event{ID: string(rune('a' + i)), Key: string(rune('a' + i))})
				if err := b.Publisher(infra.Durable).Publish(record.EventsTopic, m); err != nil {
					t.Fatal(err)
				}
			}
		}
		start := func(steps int) error {
			d := &dying{b, steps}
			a := &App{log: slog.New(slog.DiscardHandler), broker: d, cfg: &config.Config{}, suspended: map[string]bool{}}
			if err := a.openControl(ctx); err != nil {
				return err
			}
			if err := a.appear(ctx, []config.Destination{{ID: "d", From: "now"}}, a.control.Append); err != nil {
				return err
			}
			return d.EnsureTopics(ctx, record.Topics("d")...)
		}
		if err := b.EnsureTopics(ctx, append(control.Topics(), infra.Topic{Name: record.EventsTopic})...); err != nil {
			t.Fatal(err)
		}
		accept(5)
		died := start(steps)
		decided := lastOf(t, b)
		accept(3)
		if err := start(1000); err != nil {
			t.Fatal(err)
		}
		accept(2)
		if err := start(1000); err != nil { // and nothing is skipped by a third one
			t.Fatal(err)
		}
		want := int64(2) // of a start that decided nothing
		if decided {
			want = 5
		}
		lag, err := infra.LagOf(ctx, b, record.TransformGroup("d"), record.EventsTopic)
		if err != nil || lag != want {
			t.Errorf("killed at step %d (%v): %d events are to be sent, want %d; %v", steps, died, lag, want, err)
		}
		if began := beganAt(t, b); began != 10-want {
			t.Errorf("killed at step %d: explain is told that %d events were before it, want %d", steps, began, 10-want)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// beganAt counts the events that are known to be before the beginning of d.
func beganAt(t *testing.T, b infra.Broker) (n int64) {
	t.Helper()
	l, err := control.Open(t.Context(), control.Config{Broker: b})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range begins(l)("d") {
		n += at
	}
	return n
}

// lastOf reports whether somebody decided where d begins.
func lastOf(t *testing.T, b infra.Broker) bool {
	t.Helper()
	l, err := control.Open(t.Context(), control.Config{Broker: b})
	if err != nil {
		t.Fatal(err)
	}
	_, ok := l.Last(control.From, "d")
	return ok
}
