package router

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
)

// orderKey is the key that a message is ordered by. One without a key, written
// by another program, waits for no other: its id and its place are its key.
func orderKey(msg *message.Message) string {
	if key := msg.Metadata.Get(infra.MetaKey); key != "" {
		return key
	}
	return "\x00" + msg.UUID + ":" + msg.Metadata.Get(infra.MetaPartition) + ":" + msg.Metadata.Get(infra.MetaOffset)
}

// queued is what an Ordered has of one key.
type queued struct {
	key     string
	head    *message.Message   // in the handler, or gathered for it; blocked leaves it out
	behind  []*message.Message // likewise
	waiting int                // messages behind, those of the same group not counted
	since   time.Time          // something waits behind; stale when nothing does
	held    string             // metrics.Wait...: why head is in no handler, or comes back to it; "": neither
}

// reason says why the first of a key is not done.
func (q queued) reason(n noted) string {
	switch {
	case q.held != "":
		return q.held
	case n.reason != "":
		return n.reason
	default:
		return metrics.WaitAttempt
	}
}

// queue tells of one key; false: there is nothing of it.
func (o *Ordered) queue(key string) (queued, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k, ok := o.keys[key]
	if !ok {
		return queued{}, false
	}
	q := o.glance(key, k)
	if k.group != nil {
		for i := range k.group.members {
			if m := &k.group.members[i]; m.key == key {
				q.behind = append(q.behind, m.msg)
			}
		}
	}
	if len(q.behind) > 0 {
		q.head, q.behind = q.behind[0], q.behind[1:]
	} else {
		q.head = k.current
	}
	q.behind = append(q.behind, k.apart...)
	q.behind = append(q.behind, k.waiting...)
	return q, true
}

// blocked tells of the keys where something waits behind, in no order, without
// what that is.
func (o *Ordered) blocked() (out []queued) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, k := range o.keys {
		if len(k.waiting) > 0 {
			out = append(out, o.glance(key, k))
		}
	}
	return out
}

func (o *Ordered) glance(key string, k *keyQueue) queued {
	q := queued{key: key, waiting: len(k.waiting), since: k.blocked}
	switch g := k.group; {
	case g == nil && k.nacked, g != nil && g.aside:
		q.held = metrics.WaitBroker // all else that fails is given up or waits in its handler
	case g == nil:
	case g == o.open:
		q.held = metrics.WaitBatch
	case !g.flies:
		q.held = metrics.WaitSlot
	}
	return q
}

// refused notes that the handler sent a message back.
func (o *Ordered) refused(msg *message.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if k, ok := o.keys[orderKey(msg)]; ok {
		k.nacked = true
	}
}
