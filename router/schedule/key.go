package schedule

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Delivery is one message on its way to the destination.
type Delivery struct {
	Message *message.Message
	History *History // nil until an attempt has failed; written by the machine alone

	key   *key
	claim *Claim
	next  *Delivery // of its key
}

func (d *Delivery) size() int { return len(d.Message.Payload) }

// Key is what the delivery is ordered by.
func (d *Delivery) Key() string { return d.key.name }

// Claim is the ownership of a partition that deliveries came with. The nil claim does
// not end.
type Claim struct{ over bool }

// Ended is a claim that has ended.
func Ended() *Claim { return &Claim{over: true} }

func (c *Claim) isOver() bool { return c != nil && c.over }

// History is what the attempts of a delivery have come to. It is kept from its first
// failure on.
type History struct {
	Tries       int           // attempts made, all of them
	Counted     int           // of them, those that spent the event's limit
	Unavailable int           // of them, those that the destination is to blame for
	First, Last time.Time     // when the first began and the last one ended
	Age         time.Duration // attempts and backoffs by its own fault, together
	Err         error         // of the last
	Given       any           // the caller's, with Store: why it was given up
	Note        any           // the caller's, from one attempt to the next

	until     time.Duration // nothing before; 0: at once
	waits     state         // backoff or broker: what for
	excused   bool          // what it waits for is not its own fault
	held      bool          // its last final answer gave nothing up
	alone     bool          // it goes by itself
	suspect   int           // unavailable attempts that may have been its fault
	free      bool          // its last unavailable attempt met a closed breaker
	successes uint64        // of the destination, at its last unavailable attempt
}

// isAlone reports whether it goes by itself.
func (d *Delivery) isAlone() bool { return d.History != nil && d.History.alone }

func (d *Delivery) history() *History {
	if d.History == nil {
		d.History = &History{}
	}
	return d.History
}

// state of a key.
type state uint8

const (
	ready      state = iota // it may be attempted as far as it goes
	attempting              // it is in an attempt, or being stored
	backoff                 // its last attempt failed
	broker                  // the broker does not take what was given up
)

// key is an ordering key that has deliveries.
type key struct {
	name       string
	head, tail *Delivery
	n, taken   int32    // deliveries; and how many of the first are in an attempt
	size       int      // of all payloads
	attempt    *Attempt // that the first are in; nil: none
	state      state
	since      time.Duration // in state
	due        time.Duration // of backoff and broker
	blocked    time.Duration // since when something waits behind; stale when nothing does
	counted    place         // where it is counted as blocked; nowhere: nothing waits behind
	index      int           // in times; -1: not there
	queue      *queue        // that it stands in; nil: none
	links      [listKinds]links
}

// waiting is how many deliveries wait behind the first, or behind those in an attempt.
func (k *key) waiting() int {
	if k.taken > 0 {
		return int(k.n - k.taken)
	}
	return int(k.n) - 1
}

func (k *key) push(d *Delivery) {
	if k.head == nil {
		k.head = d
	} else {
		k.tail.next = d
	}
	k.tail = d
	k.n++
	k.size += d.size()
}

// unshift puts a delivery first that is counted already.
func (k *key) unshift(d *Delivery) {
	d.next = k.head
	k.head = d
	if k.tail == nil {
		k.tail = d
	}
}

// lastOf is the end of the list that begins with d.
func (k *key) lastOf(d *Delivery) *Delivery {
	if d == nil {
		return nil
	}
	return k.tail
}

// free is the first delivery that is in no attempt.
func (k *key) free() (before, d *Delivery) {
	d = k.head
	for range k.taken {
		before, d = d, d.next
	}
	return before, d
}

func (k *key) has(match func(*Delivery) bool) bool {
	for _, d := k.free(); d != nil; d = d.next {
		if match(d) {
			return true
		}
	}
	return false
}

// filter leaves the deliveries in an attempt and, of the others, those that stay.
func (k *key) filter(stays func(*Delivery) bool) {
	last, d := k.free()
	if last == nil {
		k.head = nil
	} else {
		last.next = nil
	}
	for d != nil {
		then := d.next
		d.next = nil
		if stays(d) {
			if last == nil {
				k.head = d
			} else {
				last.next = d
			}
			last = d
		}
		d = then
	}
	k.tail = last
}
