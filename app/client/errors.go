package client

import (
	"fmt"
	"net/http"
)

// RefusedError is an answer other than 202. None of the request's events is stored, but
// for a status of 503, after which they may be.
type RefusedError struct {
	URL    string // of the request
	Status int    // of the last answer
	Index  int    // place of the event at fault in the call; -1: the answer names none
	Body   string // of the answer: a problem document (RFC 9457) as a rule
	Tries  int    // requests that were made
}

func (e *RefusedError) Error() string {
	tries := ""
	if e.Tries > 1 {
		tries = fmt.Sprintf(" %d times", e.Tries)
	}
	return fmt.Sprintf("%s answered %d %s%s: %s", e.URL, e.Status, http.StatusText(e.Status), tries, e.Body)
}

// NoAnswerError is a request without a whole answer. Whether its events are stored is not
// known, unless Refused is set.
type NoAnswerError struct {
	URL     string
	Refused bool // no program listens there: nothing is stored
	Begun   bool // the answer began and broke off
	Err     error
}

func (e *NoAnswerError) Error() string {
	switch {
	case e.Refused:
		return fmt.Sprintf("no server answers at %s (%v)", e.URL, e.Err)
	case e.Begun:
		return fmt.Sprintf("the answer of %s broke off: %v; whether these are stored is not known", e.URL, e.Err)
	}
	return fmt.Sprintf("%s gave no answer: %v; whether these are stored is not known", e.URL, e.Err)
}

func (e *NoAnswerError) Unwrap() error { return e.Err }
