package ingest

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"eventserver/app/ingest/budget"
	"eventserver/metrics"
)

// body reads a JSON request body, decompressed, within the limit. Its memory is
// charged to share before it is taken.
func (s *Server) body(w http.ResponseWriter, r *http.Request, share *budget.Share) ([]byte, *Problem) {
	if p := mediaType(r); p != nil {
		return nil, p
	}
	limit := s.cfg.MaxBatchBytes
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if err := share.Grow(budget.RequestCost + headerCost(r.Header)); err != nil {
		return nil, s.noMemory(err)
	}
	sent := &watched{Reader: http.MaxBytesReader(w, r.Body, limit)}
	var in io.Reader = sent
	length := r.ContentLength // -1: not known
	switch enc := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ", "))); enc {
	case "", "identity":
	case "gzip":
		if err := share.Grow(budget.GzipCost); err != nil {
			return nil, s.noMemory(err)
		}
		z := gunzips.Get().(*gunzip)
		defer func() {
			z.release()
			share.Shrink(budget.GzipCost)
		}()
		if err := z.reset(sent); err != nil {
			return nil, unreadable(sent.err, err, limit)
		}
		in, length = z, -1
	default:
		return nil, problem(http.StatusUnsupportedMediaType, metrics.RejectMediaType,
			fmt.Sprintf("Content-Encoding %q is not supported; use gzip or none", enc))
	}
	data, err := readAll(in, share, length, limit) // a gigabyte fits into a gzipped megabyte
	switch {
	case errors.Is(err, budget.ErrNever), errors.Is(err, budget.ErrUsedUp):
		return nil, s.noMemory(err)
	case err != nil:
		return nil, unreadable(sent.err, err, limit)
	case int64(len(data)) > limit:
		return nil, tooLarge(limit)
	}
	return data, nil
}

// Sizes of the first buffer of a body: of one whose length is known, and not. As
// many clients as may connect hold that much before they have sent a byte of
// their bodies, and small requests still have room.
const (
	firstKnown   = 4 << 10
	firstUnknown = 2 << 10
)

// readAll reads until the end or one byte more than limit. The buffer doubles as
// the bytes arrive, whatever length says: a client may send less than it promised.
func readAll(in io.Reader, share *budget.Share, length, limit int64) ([]byte, error) {
	most := limit + 1
	size := int64(firstUnknown)
	if length >= 0 {
		most = length + 1 // a byte for the end
		size = firstKnown
	}
	size = min(size, most)
	if err := share.Grow(budget.Buffer(int(size))); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, size)
	for {
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, err
		case int64(len(buf)) == most:
			return buf, nil
		case int64(len(buf)) < size:
			continue
		}
		next := min(2*size, most)
		if err := share.Grow(budget.Buffer(int(next))); err != nil {
			return nil, err
		}
		grown := make([]byte, len(buf), next)
		copy(grown, buf)
		share.Shrink(budget.Buffer(int(size)))
		buf, size = grown, next
	}
}

// gunzip is a decompressor with its buffer. They are pooled: each is 45 KiB.
type gunzip struct {
	gzip.Reader
	in *bufio.Reader
}

// gunzips holds no state between bodies.
var gunzips = sync.Pool{New: func() any { return &gunzip{in: bufio.NewReader(nil)} }}

func (z *gunzip) reset(in io.Reader) error {
	z.in.Reset(in)
	return z.Reset(z.in)
}

// release drops the request, and what its gzip headers said.
func (z *gunzip) release() {
	z.in.Reset(nil)
	z.Header = gzip.Header{}
	gunzips.Put(z)
}

// watched remembers how reading what the client sent failed, apart from what
// gzip makes of it: gzip's own errors are io.EOF and io.ErrUnexpectedEOF too.
type watched struct {
	io.Reader
	err error // nil: it has not failed
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// unreadable explains a body: sent is the error of the connection, if any, err
// that of reading it all.
func unreadable(sent, err error, limit int64) *Problem {
	switch {
	case errors.As(sent, new(*http.MaxBytesError)):
		return tooLarge(limit)
	case sent != nil:
		return problem(http.StatusBadRequest, metrics.RejectInvalid, "the body could not be read to its end")
	}
	return problem(http.StatusBadRequest, metrics.RejectInvalid,
		fmt.Sprintf("the body is not valid gzip, as its Content-Encoding says: %v", err))
}

func tooLarge(limit int64) *Problem {
	return problem(http.StatusRequestEntityTooLarge, metrics.RejectTooLarge,
		fmt.Sprintf("the body is larger than %d bytes, decompressed; send smaller batches", limit))
}

// The attributes that a CloudEvent in binary mode always has, and what the
// versions before 1.0 called them.
var cloudEventHeaders = [...]string{"Ce-Specversion", "Ce-Id", "Ce-Type", "Ce-Source", "Ce-Cloudeventsversion", "Ce-Eventid", "Ce-Eventtype"}

const asJSON = `send it as application/json: {"id", "type", "source", "time", "key", "data"}, or an array of these`

// mediaType accepts JSON in UTF-8. A request without Content-Type is taken as
// JSON. A CloudEvent is refused in each of its forms: it would lose its id and
// type, or its partitionkey, and nobody would notice.
func mediaType(r *http.Request) *Problem {
	for _, name := range cloudEventHeaders {
		if len(r.Header[name]) > 0 {
			return problem(http.StatusUnsupportedMediaType, metrics.RejectMediaType,
				"CloudEvents in binary mode (the header "+strings.ToLower(name)+") are not understood; "+asJSON)
		}
	}
	header := r.Header.Get("Content-Type")
	if header == "" {
		return nil
	}
	typ, params, err := mime.ParseMediaType(header)
	if strings.HasPrefix(typ, "application/cloudevents") {
		return problem(http.StatusUnsupportedMediaType, metrics.RejectMediaType,
			fmt.Sprintf("Content-Type %q: CloudEvents in structured and batched mode are not understood; %s", header, asJSON))
	}
	json := typ == "application/json" || strings.HasPrefix(typ, "application/") && strings.HasSuffix(typ, "+json")
	charset := params["charset"]
	if err == nil && json && (charset == "" || strings.EqualFold(charset, "utf-8")) {
		return nil
	}
	return problem(http.StatusUnsupportedMediaType, metrics.RejectMediaType,
		fmt.Sprintf("Content-Type %q is not supported; send application/json in UTF-8", header))
}
