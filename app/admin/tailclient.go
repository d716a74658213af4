package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"eventserver/destinations/cause"
)

// TailReader is told what a tail shows.
type TailReader struct {
	Started func(TailStarted)       // nil: nobody is told
	Record  func(line []byte) error // an error ends the tail
	Warn    func(text string)       // nil: nobody is told
}

func (q TailQuestion) query() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"type": q.Type, "key": q.Key, "destination": q.Destination, "from": q.From, "format": q.Format} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, value := range map[string]bool{"poison": q.Poison, "payload": q.Payload} {
		if value {
			v.Set(name, "true")
		}
	}
	for name, value := range map[string]int{"count": q.Count, "width": q.Width} {
		if value != 0 {
			v.Set(name, strconv.Itoa(value))
		}
	}
	return v
}

// Tail shows records until they are as many as Count, which is no error, or until
// ctx ends.
func (c *Client) Tail(ctx context.Context, q TailQuestion, to TailReader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a, err := c.ask(ctx, "GET", "/v1/tail?"+q.query().Encode(), nil)
	if err != nil {
		return err
	}
	defer a.close()
	if a.resp.Header.Get("Content-Type") != streamType {
		return notAdmin(a.base)
	}
	silence := 3 * defaultPace.beat
	if c.silence > 0 {
		silence = c.silence
	}
	silent := time.AfterFunc(silence, func() {
		cancel(fmt.Errorf("%s has been silent for %s: the server, or what is between, is gone", a.base, silence))
	})
	defer silent.Stop()
	in := bufio.NewReader(a.resp.Body)
	for {
		silent.Reset(silence)
		l, err := a.line(in)
		silent.Stop() // what is done with the line may take its time
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case l.Started != nil && to.Started != nil:
			to.Started(*l.Started)
		case l.Record != nil:
			err = to.Record(l.Record)
		case l.Text != nil:
			err = to.Record([]byte(*l.Text))
		case l.Warning != "" && to.Warn != nil:
			to.Warn(l.Warning)
		case l.End != nil:
			return a.ended(*l.End)
		}
		if err != nil {
			return err
		}
	}
}

// line reads the next line of a tail.
func (a *asked) line(in *bufio.Reader) (l TailLine, err error) {
	line, err := readLine(in)
	switch {
	case errors.Is(err, errLong):
		return l, fmt.Errorf("a line of %s is larger than %d bytes", a.base, maxAnswer)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return l, fmt.Errorf("the answer of %s broke off: the server was killed, or cut off a reader that had taken nothing for too long", a.base)
	case err != nil:
		return l, fmt.Errorf("the answer of %s broke off: %w", a.base, cause.Of(err))
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return l, fmt.Errorf("the answer of %s is not understood: %w; use a command of the server's version", a.base, err)
	}
	return l, nil
}

// ended is the end as an error.
func (a *asked) ended(e TailEnd) error {
	switch e.Reason {
	case tailCount:
		return nil
	case tailStopping:
		return fmt.Errorf("the server at %s has stopped", a.base)
	case tailSlow:
		return fmt.Errorf("the server at %s cut this off: %s", a.base, e.Detail)
	}
	return errors.New(e.Detail)
}

var errLong = errors.New("too long")

// readLine reads a line of at most maxAnswer bytes, without its end.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxAnswer:
			return nil, errLong
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		default:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		}
	}
}
