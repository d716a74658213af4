package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode"

	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
)

// What is told of an error, and to whom. The poison queue keeps an error's own
// words, a log those alone that hold nothing of an event or an answer; neither
// has the event's values. A destination's author cannot be relied on for that,
// nor a receiver, which may send back what it got.

// told is an error of a destination about the deliveries of an attempt.
type told struct {
	err error
	of  []destinations.Delivery
}

func (t *told) Error() string { return t.err.Error() }
func (t *told) Unwrap() error { return t.err }

// LogText implements what logged asks for.
func (t *told) LogText() string {
	text := words(t.err)
	for i := range t.of {
		text = masked(text, t.of[i].Payload.Body)
	}
	return text
}

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

// detail is an error's text for the poison queue, about an event with that body.
// Of a panic it has the value alone: the stack names files of the machine.
func detail(err error, body []byte) string {
	text := err.Error()
	var panicked middleware.RecoveredPanicError
	if errors.As(err, &panicked) {
		text = fmt.Sprintf("panic: %v", panicked.V)
	}
	return clean(masked(text, body))
}

const (
	maskText = "[event]" // what stands for a value of the event
	maskLow  = 4         // bytes; what is shorter is in every text
	maskPart = 16        // bytes of a longer value that are enough to know it: texts are cut
)

// masked takes the values of an event's body out of a text about it: those of
// its members where it is JSON, its words otherwise. The names of members stay,
// which errors are about.
func masked(text string, body []byte) string {
	if len(text) < maskLow || len(body) < maskLow {
		return text
	}
	if !json.Valid(body) {
		const most = 64 << 10 // bytes that are looked at
		for _, word := range strings.FieldsFunc(string(body[:min(len(body), most)]), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@+", r)
		}) {
			text = maskedValue(text, word)
		}
		return text
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var objects []bool // of what is open: whether it is an object
	name := false      // whether a name comes next
	for {
		tok, err := dec.Token()
		if err != nil { // the end
			return text
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				objects = append(objects, v == '{')
			} else {
				objects = objects[:len(objects)-1]
			}
			name = len(objects) > 0 && objects[len(objects)-1]
			continue
		case string:
			if name {
				name = false
				continue
			}
			text = maskedValue(text, v)
			for _, form := range quotedForms(v) {
				text = maskedValue(text, form)
			}
		case json.Number:
			text = maskedValue(text, v.String())
		}
		name = len(objects) > 0 && objects[len(objects)-1]
	}
}

// quotedForms are how a text writes v between quotes, where that differs.
func quotedForms(v string) []string {
	var forms []string
	for _, q := range []string{fmt.Sprintf("%q", v), jsonText(v)} {
		if inner := q[1 : len(q)-1]; inner != v {
			forms = append(forms, inner)
		}
	}
	if c := clean(v); c != v {
		forms = append(forms, c)
	}
	return forms
}

func jsonText(v string) string {
	b, err := json.Marshal(v)
	if err != nil { // of a string: it cannot be
		return `""`
	}
	return string(b)
}

// maskedValue replaces value in text, also where it breaks off.
func maskedValue(text, value string) string {
	if len(value) < maskLow {
		return text
	}
	known := value[:min(len(value), maskPart)]
	from := 0
	for {
		i := strings.Index(text[from:], known)
		if i < 0 {
			return text
		}
		i += from
		n := len(known)
		for n < len(value) && i+n < len(text) && text[i+n] == value[n] {
			n++
		}
		text = text[:i] + maskText + text[i+n:]
		from = i + len(maskText)
	}
}
