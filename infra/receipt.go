package infra

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Receipt tells a subscriber what became of one message: true for Ack, false
// for Nack. It is called once.
type Receipt func(acked bool)

type receiptKey struct{}

// WithReceipt puts r into a message's context.
func WithReceipt(ctx context.Context, r Receipt) context.Context {
	return context.WithValue(ctx, receiptKey{}, r)
}

// HasReceipt reports whether a message is settled by its Receipt: its own Ack and
// Nack are then no more than what the handlers say of it.
func HasReceipt(m *message.Message) bool {
	_, ok := m.Context().Value(receiptKey{}).(Receipt)
	return ok
}

// Settle acks or nacks a message, by its receipt where it has one.
func Settle(m *message.Message, acked bool) {
	if acked {
		m.Ack()
	} else {
		m.Nack()
	}
	if r, ok := m.Context().Value(receiptKey{}).(Receipt); ok {
		r(acked)
	}
}
