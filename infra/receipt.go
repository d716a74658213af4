package infra

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Receipted is implemented by subscribers that can learn of a settlement by a
// call. A subscriber otherwise watches the Ack and Nack channels of every
// message it has handed out, with a goroutine for each; a consumer that waits
// for the verdict anyway can spare it that.
type Receipted interface {
	// UseReceipts gives every message of later Subscribes a Receipt. The
	// caller settles them with Settle, and nothing else does.
	UseReceipts()
}

// Receipt tells a subscriber what became of one message: true for Ack, false
// for Nack. It is called once.
type Receipt func(acked bool)

type receiptKey struct{}

// WithReceipt puts r into a message's context.
func WithReceipt(ctx context.Context, r Receipt) context.Context {
	return context.WithValue(ctx, receiptKey{}, r)
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
