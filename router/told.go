package router

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/infra"
	"eventserver/router/record"
)

// What is told of an error, and to whom. The poison queue keeps an error's own
// words, a log those alone that hold nothing of an event or an answer; neither
// has the event's values. A destination's author cannot be relied on for that,
// nor a receiver, which may send back what it got.

// told is an error of a destination about the messages of an attempt. Its texts are made
// when somebody asks for one: that goes through the whole payloads.
type told struct {
	err error
	of  []*message.Message
}

func newTold(err error, of ...*message.Message) *told { return &told{err, of} }

func (t *told) Error() string { return t.err.Error() }
func (t *told) Unwrap() error { return t.err }

// LogText implements what logged asks for.
func (t *told) LogText() string {
	return t.masked(words(t.err))
}

func (t *told) masked(text string) string {
	for _, m := range t.of {
		text = masked(text, m.Payload, append(record.HeaderValues(m.Metadata), m.Metadata[infra.MetaKey])...)
	}
	return text
}

// apart is told of each member of a batch that failed: nothing of any member is in it.
type apart struct{ told }

func newApart(err error, of ...*message.Message) *apart { return &apart{told{err, of}} }

func (t *apart) Error() string   { return t.masked(detail(t.err, nil)) }
func (t *apart) LogText() string { return t.Error() }

// logged is an error's text for a log.
func logged(err error) string { return clean(words(err)) }

// words are what a log may have of an error: what it says of itself
// (destinations.Logged), of a panic what the runtime says or its type, and of
// any other error its text.
func words(err error) string {
	var (
		panicked middleware.RecoveredPanicError
		loggable interface{ LogText() string }
	)
	switch {
	case errors.As(err, &panicked):
		if r, ok := panicked.V.(runtime.Error); ok {
			return "panic: " + r.Error()
		}
		return fmt.Sprintf("panic with a %T", panicked.V)
	case errors.As(err, &loggable):
		return loggable.LogText()
	}
	return err.Error()
}

// detail is an error's text for the poison queue, about an event with that body
// and those headers: whoever may see the text need not see either. Of a panic it
// has the value alone: the stack names files of the machine.
func detail(err error, body []byte, headers ...string) string {
	text := err.Error()
	var panicked middleware.RecoveredPanicError
	if errors.As(err, &panicked) {
		text = fmt.Sprintf("panic: %v", panicked.V)
	}
	return clean(masked(text, body, headers...))
}

// maxDetail bounds the text kept with a poisoned delivery.
const maxDetail = 1024

// clean makes a text safe for a header and a terminal: one line, no control
// characters, valid UTF-8, bounded.
func clean(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}
