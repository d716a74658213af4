package infra

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Receipt tells a subscriber what became of one message: by one call of Settled or
// GiveBack.
type Receipt interface {
	// Settled is true for Ack, false for Nack.
	Settled(acked bool)
	// GiveBack is for a message that nobody attempted, and all behind it of its key that
	// were received: they are read again later, in their order and before what follows.
	GiveBack()
	// Stale reports whether one before it of its key was given back meanwhile, so that it
	// is to be given back too. Who gives messages back asks each that is received, in the
	// goroutine that gives back: then none is received between.
	Stale() bool
}

// ReceiptFunc is a Receipt that is a function. What is given back to it is nacked.
type ReceiptFunc func(acked bool)

// Settled implements Receipt.
func (f ReceiptFunc) Settled(acked bool) { f(acked) }

// GiveBack implements Receipt.
func (f ReceiptFunc) GiveBack() { f(false) }

// Stale implements Receipt.
func (ReceiptFunc) Stale() bool { return false }

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

// GiveBack gives a message back by its receipt.
func GiveBack(m *message.Message) {
	if r, ok := m.Context().(receipted); ok {
		r.receipt.GiveBack()
	}
}

// Stale asks a message's receipt; false where it has none.
func Stale(m *message.Message) bool {
	r, ok := m.Context().(receipted)
	return ok && r.receipt.Stale()
}
