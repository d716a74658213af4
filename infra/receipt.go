package infra

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Receipt tells a subscriber what became of one message.
type Receipt interface {
	// Settled is called once: true for Ack, false for Nack.
	Settled(acked bool)
}

// ReceiptFunc is a Receipt that is a function.
type ReceiptFunc func(acked bool)

// Settled implements Receipt.
func (f ReceiptFunc) Settled(acked bool) { f(acked) }

// receipted is the context of a message with a receipt.
type receipted struct {
	context.Context

	receipt Receipt
}

// WithReceipt puts r into a message's context, which is that of its claim.
func WithReceipt(claim context.Context, r Receipt) context.Context { return receipted{claim, r} }

// HasReceipt reports whether a message is settled by its Receipt: its own Ack and
// Nack are then no more than what the handlers say of it.
func HasReceipt(m *message.Message) bool {
	_, ok := m.Context().(receipted)
	return ok
}

// ClaimOf is the context of a message's claim: one for all messages of a claim where
// they have receipts, and the message's own elsewhere.
func ClaimOf(m *message.Message) context.Context {
	if r, ok := m.Context().(receipted); ok {
		return r.Context
	}
	return m.Context()
}

// Settle acks or nacks a message, by its receipt where it has one.
func Settle(m *message.Message, acked bool) {
	if acked {
		m.Ack()
	} else {
		m.Nack()
	}
	if r, ok := m.Context().(receipted); ok {
		r.receipt.Settled(acked)
	}
}
