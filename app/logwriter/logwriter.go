package logwriter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// Config of a Writer.
type Config struct {
	// Out gets the lines, one Write each. Its Write may fail or block for ever.
	Out io.Writer
	// Bytes bounds the lines that wait; default 1 MiB.
	Bytes int
	// Notice is the line that tells of dropped lines; nil: none is written.
	Notice func(lines uint64) []byte
}

const defaultBytes = 1 << 20

// lineCost is what a waiting line takes beside its bytes.
const lineCost = 64

// Writer is an io.Writer that never blocks and never fails. It is safe for many
// goroutines. A line is what one Write gets.
type Writer struct {
	cfg     Config
	dropped atomic.Uint64
	wake    chan struct{} // holds a token when there is something to do
	ended   chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	queue  []line
	size   int
	full   bool   // until half of it is free again: a gap is one, whatever the lines' lengths
	missed uint64 // lines dropped since the last one that was queued
	closed bool
}

// line is one that waits, with the number of those that were dropped before it.
type line struct {
	text   []byte
	missed uint64
}

// New starts the writing. Close ends it.
func New(cfg Config) (*Writer, error) {
	if cfg.Out == nil {
		return nil, errors.New("logwriter: Out is missing")
	}
	if cfg.Bytes < 0 {
		return nil, fmt.Errorf("logwriter: Bytes is negative: %d", cfg.Bytes)
	}
	if cfg.Bytes == 0 {
		cfg.Bytes = defaultBytes
	}
	w := &Writer{cfg: cfg, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	return w, nil
}

// Write implements io.Writer. It queues a copy of the line, or drops it.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cost := len(p) + lineCost
	w.full = w.full || w.size+cost > w.cfg.Bytes
	if w.full || w.closed {
		w.missed++
		w.dropped.Add(1)
	} else {
		w.queue = append(w.queue, line{text: bytes.Clone(p), missed: w.missed})
		w.size, w.missed = w.size+cost, 0
	}
	w.wakeUp()
	return len(p), nil
}

func (w *Writer) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Dropped is how many lines were dropped so far.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Close writes what waits until ctx ends. A Write of Out that blocks is left
// behind. Lines that come later are dropped. A second Close waits as the first.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wakeUp()
	select {
	case <-w.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("logwriter: the reader of the log does not take what waits: %w", ctx.Err())
	}
}

// next returns the line to write; a line without text tells of dropped ones
// behind which none came. ok is false when there is none.
func (w *Writer) next() (l line, ok, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.queue) > 0:
		l, w.queue[0] = w.queue[0], line{}
		w.queue = w.queue[1:]
		w.size -= len(l.text) + lineCost
		w.full = w.full && w.size > w.cfg.Bytes/2
		return l, true, false
	case w.missed > 0:
		l.missed, w.missed = w.missed, 0
		return l, true, false
	}
	w.queue, w.full = nil, false // its array, which may have become long
	return line{}, false, w.closed
}

func (w *Writer) run() {
	defer close(w.ended)
	o := output{cfg: w.cfg}
	for {
		l, ok, closed := w.next()
		switch {
		case ok:
			if !o.line(l) {
				w.dropped.Add(1)
			}
		case closed:
			return
		default:
			<-w.wake
		}
	}
}

// output is Out, and what could not be written to it.
type output struct {
	cfg    Config
	missed uint64 // lines that the log lacks and has not told of
	torn   bool   // the last line has no end
}

// line writes l, in front of it the number of lines that are missing there. It
// returns false when l is lost.
func (o *output) line(l line) bool {
	o.missed += l.missed
	ok := true
	if o.missed > 0 && o.cfg.Notice != nil {
		ok = o.write(o.cfg.Notice(o.missed))
	}
	if ok {
		o.missed = 0
	}
	if l.text == nil {
		return true
	}
	if ok {
		ok = o.write(l.text)
	}
	if !ok {
		o.missed++
	}
	return ok
}

// write ends the part of a line that a failed write left behind.
func (o *output) write(text []byte) bool {
	if o.torn {
		text = append([]byte{'\n'}, text...)
	}
	n, err := o.cfg.Out.Write(text)
	if n > 0 && n <= len(text) {
		o.torn = text[n-1] != '\n'
	}
	return err == nil && n == len(text)
}
