package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"eventserver/app/config"
	"eventserver/app/logwriter"
)

// flushTime bounds what the end of the server waits for the reader of its log.
const flushTime = time.Second

// serverLog is the log of the server on standard error. Nothing that writes to
// it waits: what its reader does not take is dropped and counted.
type serverLog struct {
	*logwriter.Writer
	form atomic.Pointer[config.Log]
}

func newServerLog(stderr io.Writer) (*serverLog, error) {
	l := &serverLog{}
	l.form.Store(&config.Log{})
	w, err := logwriter.New(logwriter.Config{Out: stderr, Notice: l.notice})
	if err != nil {
		return nil, err
	}
	l.Writer = w
	stdlog.SetOutput(w) // of libraries that know no other
	return l, nil
}

// logger writes in the form that the configuration asks for.
func (l *serverLog) logger(c config.Log, level *slog.LevelVar) *slog.Logger {
	_ = level.UnmarshalText([]byte(c.Level)) // the configuration was checked
	l.form.Store(&c)
	return slog.New(handler(c, level, l))
}

func handler(c config.Log, level slog.Leveler, w io.Writer) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

func (l *serverLog) notice(lines uint64) []byte {
	var b bytes.Buffer
	slog.New(handler(*l.form.Load(), slog.LevelWarn, &b)).
		Warn("lines of the log were dropped here: nobody read them in time, or they could not be written", slog.Uint64("lines", lines))
	return b.Bytes()
}

// end writes err as every command does and what waits, for a moment.
func (l *serverLog) end(err error) {
	if err != nil {
		fmt.Fprintln(l, "eventserver:", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_ = l.Close(ctx) // there is nobody left to tell
	stdlog.SetOutput(os.Stderr)
}

// reported is an error that is on standard error already.
type reported struct{ error }

func (r reported) Unwrap() error { return r.error }
