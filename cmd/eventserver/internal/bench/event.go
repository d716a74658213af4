package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An event carries its user, its number and when it was due, in front, so that
// the receiver reads them without decoding JSON.
const eventHead = `{"type":"bench","userId":"u%d","n":%d,"due":%d,"data":"`

// eventSchema is what appendEvent writes.
const eventSchema = `x-event: {type: bench, version: 1, key: /userId}
description: An event of the benchmark.
type: object
additionalProperties: false
required: [type, userId, n, due, data]
properties:
  type: {const: bench}
  userId: {type: string, pattern: "^u[0-9]+$"}
  n: {type: integer, minimum: 0}
  due: {type: integer, minimum: 0}
  data: {type: string}
examples:
  - {type: bench, userId: u1, n: 1, due: 5, data: xxx}
`

var minSize = len(fmt.Sprintf(eventHead, 1_000_000, 100_000_000, time.Hour)) + 2

// appendEvent writes an event of exactly size bytes. due is since the run began.
func appendEvent(buf []byte, size, user, n int, due time.Duration) []byte {
	start := len(buf)
	buf = fmt.Appendf(buf, eventHead, user, n, due)
	if pad := size - (len(buf) - start) - 2; pad > 0 {
		buf = append(buf, strings.Repeat("x", pad)...)
	}
	return append(buf, `"}`...)
}

// received is what a receiver reads of an event.
type received struct {
	user   string
	number int
	user0  int // the user as a number
	due    time.Duration
}

var errNotOurs = fmt.Errorf("bench: an event that the benchmark did not make")

// parseEvent reads one event and returns what follows it.
func parseEvent(b []byte) (r received, rest []byte, err error) {
	field := func(name string) string {
		_, after, ok := bytes.Cut(b, []byte(name))
		if !ok {
			err = errNotOurs
			return ""
		}
		b = after
		end := bytes.IndexAny(after, `",`)
		if end < 0 {
			err = errNotOurs
			return ""
		}
		return string(after[:end])
	}
	r.user = field(`"userId":"`)
	n, due := field(`"n":`), field(`"due":`)
	if err != nil {
		return r, nil, err
	}
	r.number, err = strconv.Atoi(n)
	if err != nil {
		return r, nil, errNotOurs
	}
	ns, err := strconv.ParseInt(due, 10, 64)
	if err != nil {
		return r, nil, errNotOurs
	}
	r.due = time.Duration(ns)
	r.user0, err = strconv.Atoi(strings.TrimPrefix(r.user, "u"))
	if err != nil {
		return r, nil, errNotOurs
	}
	_, rest, _ = bytes.Cut(b, []byte("}"))
	return r, rest, nil
}
