package attempt

import "github.com/ThreeDotsLabs/watermill/message"

// deepStack is what an attempt of a webhook and the storing of an event need, and
// no more: the frame is cleared each time.
const deepStack = 5 << 10

// RoomyStack grows the handler's goroutine to what it will need, in one step
// and while it is nearly empty. Watermill handles each message in a goroutine
// of its own, which begins with 2 KiB; to double that under a deep call copies
// every frame of it.
func RoomyStack(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		grow(len(msg.Payload))
		return next(msg)
	}
}

// grow has a large frame. The index is not a constant, or the compiler would
// leave the frame out.
//
//go:noinline
func grow(i int) byte {
	var frame [deepStack]byte
	frame[i%deepStack] = 1
	return frame[(i+1)%deepStack]
}
