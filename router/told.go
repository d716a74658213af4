package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/infra"
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

func (t *told) Error() string { return t.err.Error() }
func (t *told) Unwrap() error { return t.err }

// LogText implements what logged asks for.
func (t *told) LogText() string {
	return t.masked(words(t.err))
}

func (t *told) masked(text string) string {
	for _, m := range t.of {
		text = masked(text, m.Payload, append(headersOf(m.Metadata), m.Metadata[infra.MetaKey])...)
	}
	return text
}

// apart is told of each member of a batch that failed: nothing of any member is in it.
type apart struct{ told }

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

// headersOf are the values of the headers that a record carries for its event
// and its receiver.
func headersOf(md message.Metadata) []string {
	return parts(prefixed(md, hMeta), prefixed(md, hHeader))
}

// parts are the values of headers, and of a list its members too.
func parts(headers ...map[string]string) []string {
	var values []string
	for _, h := range headers {
		for _, v := range h {
			values = append(values, v)
			if strings.Contains(v, ",") {
				for part := range strings.SplitSeq(v, ",") {
					values = append(values, strings.TrimSpace(part))
				}
			}
		}
	}
	return values
}

const (
	maskText = "[event]" // what stands for a value of the event
	maskLow  = 4         // bytes; what is shorter is in every text
	maskPart = 16        // bytes of a longer value that are enough to know it: texts are cut
)

// masked takes the values of an event's body out of a text about it: those of
// its members where it is JSON, its words otherwise. The names of members stay,
// which errors are about. It is asked only when something has failed.
// Others are values that are not in the body, such as the key.
func masked(text string, body []byte, others ...string) string {
	if len(text) < maskLow {
		return text
	}
	values := valuesOf(body)
	for _, v := range others {
		if len(v) >= maskLow {
			values = append(values, v)
		}
	}
	var there []string // the forms of values that text has
	for _, v := range values {
		for _, form := range formsOf(v) {
			if strings.Contains(text, form) {
				there = append(there, form)
			}
		}
	}
	slices.SortFunc(there, func(a, b string) int { return len(b) - len(a) }) // a value may be part of another
	for _, form := range there {
		text = strings.ReplaceAll(text, form, maskText)
	}
	// What begins like a value and goes on otherwise was cut, or written in a
	// form that is not known. Nobody can tell where it ends.
	for _, v := range values {
		if len(v) >= maskPart {
			if i := strings.Index(text, v[:maskPart]); i >= 0 {
				text = text[:i] + maskText
			}
		}
	}
	return text
}

// valuesOf lists the values of a body that are long enough to be known.
func valuesOf(body []byte) []string {
	if !json.Valid(body) {
		const most = 64 << 10 // bytes that are looked at
		words := strings.FieldsFunc(string(body[:min(len(body), most)]), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@+", r)
		})
		return slices.DeleteFunc(words, func(w string) bool { return len(w) < maskLow })
	}
	var values []string
	add := func(v string) {
		if len(v) >= maskLow {
			values = append(values, v)
		}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var objects []bool // of what is open: whether it is an object
	name := false      // whether a name comes next
	for {
		tok, err := dec.Token()
		if err != nil { // the end
			return values
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				objects = append(objects, v == '{')
			} else {
				objects = objects[:len(objects)-1]
			}
		case string:
			if name {
				name = false
				continue
			}
			add(v)
		case json.Number:
			add(v.String())
		}
		name = len(objects) > 0 && objects[len(objects)-1]
	}
}

// formsOf are how a text may write v: as it is, and between quotes, once and
// twice. Few values need more than the first.
func formsOf(v string) []string {
	forms := []string{v}
	plain := !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&'/`, r) })
	if plain {
		return forms
	}
	forms = append(forms, clean(v), strings.ReplaceAll(v, "/", `\/`))
	for _, once := range []string{strconv.Quote(v), strconv.QuoteToASCII(v), jsonText(v), plainJSON(v)} {
		inner := once[1 : len(once)-1]
		twice := strconv.Quote(inner)
		forms = append(forms, inner, strings.ReplaceAll(inner, "/", `\/`), twice[1:len(twice)-1])
	}
	return forms
}

// jsonText writes v as most programs do in Go, plainJSON as most others.
func jsonText(v string) string {
	b, err := json.Marshal(v)
	if err != nil { // of a string: it cannot be
		return `""`
	}
	return string(b)
}

func plainJSON(v string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // as above
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
