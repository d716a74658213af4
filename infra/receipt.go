package infra

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Receipt tells a subscriber the result of one message, by one call of Settled or
// GiveBack.
type Receipt interface {
	// Settled is true for Ack, false for Nack.
	Settled(acked bool)
	// GiveBack returns a message that was not attempted. All received messages of its key
	// behind it must be given back too. They are read again in order, before later ones.
	GiveBack()
	// Stale reports whether an earlier message of the key was given back meanwhile. Then
	// this one must be given back too. A consumer that gives back asks it of every
	// received message, in the goroutine that gives back, so that none comes between.
	Stale() bool
}

// ReceiptFunc is a function as a Receipt. GiveBack nacks.
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

// WithReceipt makes a message's context of its claim's context and r.
func WithReceipt(claim context.Context, r Receipt) context.Context { return receipted{claim, r} }

// HasReceipt reports whether a message is settled by a Receipt. Its own Ack and Nack
// then only record what the handlers returned.
func HasReceipt(m *message.Message) bool {
	_, ok := m.Context().(receipted)
	return ok
}

// ClaimOf is the context of a message's claim. Messages with receipts share that of
// their claim; for any other message it is the message's own.
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
