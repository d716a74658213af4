package http

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"eventserver/metrics"
)

// body reads a JSON request body, decompressed, within the limit.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	if p := mediaType(r); p != nil {
		return nil, p
	}
	limit := s.cfg.MaxBatchBytes
	sent := &watched{Reader: http.MaxBytesReader(w, r.Body, limit)}
	var in io.Reader = sent
	switch enc := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, unreadable(sent.err, err, limit)
		}
		in = z
	default:
		return nil, problem(http.StatusUnsupportedMediaType, metrics.RejectMediaType,
			fmt.Sprintf("Content-Encoding %q is not supported; use gzip or none", enc))
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1)) // a gigabyte fits into a gzipped megabyte
	if err != nil {
		return nil, unreadable(sent.err, err, limit)
	}
	if int64(len(data)) > limit {
		return nil, tooLarge(limit)
	}
	return data, nil
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
