package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// A stream is an answer of lines that goes on until its client, its source or
// the server ends it. It takes one of maxRequests only until it begins, and one of
// maxStreams from then on.
const (
	maxStreams   = 16
	streamBuffer = 1 << 20 // bytes of lines that wait for a client, or one line that is larger
)

// pace is what a stream expects of its client.
type pace struct {
	stall time.Duration // a client that takes nothing for so long is cut off
	rest  time.Duration // that it then has for the lines that wait and the reason
	beat  time.Duration // between signs of life, where there are no other lines
}

// defaultPace lets a person look at a full page for a while. Three beats without a
// line tell the client that the server is gone.
var defaultPace = pace{stall: 30 * time.Second, rest: 30 * time.Second, beat: 10 * time.Second}

// Causes of a stream's end, of its context or its source's error.
var (
	errStalled  = errors.New("its lines were not taken")
	errStopping = errors.New("the server stops")
)

// stream is what an operation has prepared.
type stream struct {
	// produce puts the lines until ctx ends. end is the last line.
	produce func(ctx context.Context, to *lines) error
	beat    func() []byte
	end     func(err error) []byte
	ended   func(err error) // for the log
	release func()
}

type answerKey struct{}

// begin makes st the answer of the operation that ctx belongs to, or says that
// there are too many streams. Nothing is written yet.
func (s *Server) begin(ctx context.Context, st stream) (*huma.StreamResponse, error) {
	a, ok := ctx.Value(answerKey{}).(*answer)
	if !ok {
		return nil, errors.New("admin: a stream outside of a request")
	}
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, huma.Error429TooManyRequests(fmt.Sprintf("%d streams are open; end one, or ask again later", maxStreams))
	}
	st.release = func() { <-s.streams }
	a.stream = &st
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", streamType)
		c.SetStatus(http.StatusOK)
	}}, nil
}

// streamType is the type of a stream: one JSON object a line.
const streamType = "application/x-ndjson"

// stream writes the answer's stream to the client.
func (s *Server) stream(a *answer, r *http.Request) {
	st, w := a.stream, a.ResponseWriter
	defer st.release()
	conn := http.NewResponseController(w)
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	s.conns.Busy(r)
	defer s.conns.Waits(r)
	ctx, cancel := context.WithCancelCause(r.Context())
	defer context.AfterFunc(s.streaming, func() { cancel(errStopping) })()
	to, ended := newLines(s.pace.stall), make(chan error, 1)
	go func() { ended <- s.produce(ctx, st, to) }()
	end, broken := s.write(conn, w, st, to, ended)
	if broken != nil {
		cancel(broken)
		end = <-ended
	}
	st.ended(end)
}

// produce is the stream's, and ends a panic with the stream. Its value is not
// logged: it may be a piece of an event.
func (s *Server) produce(ctx context.Context, st *stream, to *lines) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Logger.Error("an admin stream failed", slog.String("panic", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			err = errors.New("the server made a mistake; its log has more")
		}
	}()
	err = st.produce(ctx, to)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

// write writes lines until the source has ended, and then why as the last line.
// broken: the connection ended before that.
func (s *Server) write(conn *http.ResponseController, w http.ResponseWriter, st *stream, to *lines, ended <-chan error) (end, broken error) {
	beat := time.NewTicker(s.pace.beat)
	defer beat.Stop()
	send := func(b []byte, within time.Duration) error {
		_ = conn.SetWriteDeadline(time.Now().Add(within))
		if _, err := w.Write(b); err != nil {
			return err
		}
		return conn.Flush()
	}
	for {
		select {
		case <-to.more:
			if err := send(to.take(), s.pace.stall+s.pace.rest); err != nil {
				return nil, err
			}
			to.taken()
		case <-beat.C:
			if err := send(st.beat(), s.pace.stall); err != nil {
				return nil, err
			}
		case err := <-ended:
			_ = send(append(to.take(), st.end(err)...), s.pace.rest) // the client is gone when this fails
			return err, nil
		}
	}
}

// lines are those that wait for a stream's client.
type lines struct {
	stall time.Duration
	more  chan struct{} // has a token when there may be lines
	room  chan struct{} // has a token when the client has taken some

	mu  sync.Mutex
	buf []byte
}

func newLines(stall time.Duration) *lines {
	return &lines{stall: stall, more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put adds a line. It waits while too many wait, and returns errStalled when the
// client takes none.
func (l *lines) put(ctx context.Context, line []byte) error {
	if l.add(line) {
		return nil
	}
	t := time.NewTimer(l.stall)
	defer t.Stop()
	for {
		select {
		case <-l.room:
			if l.add(line) {
				return nil
			}
			t.Reset(l.stall)
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return errStalled
		}
	}
}

func (l *lines) add(line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buf) > 0 && len(l.buf)+len(line) >= streamBuffer {
		return false
	}
	l.buf = append(append(l.buf, line...), '\n')
	give(l.more)
	return true
}

// take returns the lines that wait.
func (l *lines) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buf
	l.buf = nil
	return b
}

// taken says that the client has what take returned.
func (l *lines) taken() { give(l.room) }

func give(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}
