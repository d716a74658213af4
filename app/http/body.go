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
	var in io.Reader = http.MaxBytesReader(w, r.Body, limit)
	switch enc := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, s.unreadable(err, limit)
		}
		in = z
	default:
		return nil, problem(http.StatusUnsupportedMediaType, metrics.RejectMediaType,
			fmt.Sprintf("Content-Encoding %q is not supported; use gzip or none", enc))
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1)) // a gigabyte fits into a gzipped megabyte
	if err != nil {
		return nil, s.unreadable(err, limit)
	}
	if int64(len(data)) > limit {
		return nil, tooLarge(limit)
	}
	return data, nil
}

func (s *Server) unreadable(err error, limit int64) *Problem {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge(limit)
	}
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return problem(http.StatusBadRequest, metrics.RejectInvalid, "the body is not valid gzip, as its Content-Encoding says")
	}
	return problem(http.StatusBadRequest, metrics.RejectInvalid, "the body could not be read to its end")
}

func tooLarge(limit int64) *Problem {
	return problem(http.StatusRequestEntityTooLarge, metrics.RejectTooLarge,
		fmt.Sprintf("the body is larger than %d bytes, decompressed; send smaller batches", limit))
}

// mediaType accepts JSON in UTF-8. A request without Content-Type is taken as JSON.
func mediaType(r *http.Request) *Problem {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return nil
	}
	typ, params, err := mime.ParseMediaType(header)
	json := typ == "application/json" || strings.HasPrefix(typ, "application/") && strings.HasSuffix(typ, "+json")
	charset := params["charset"]
	if err == nil && json && (charset == "" || strings.EqualFold(charset, "utf-8")) {
		return nil
	}
	return problem(http.StatusUnsupportedMediaType, metrics.RejectMediaType,
		fmt.Sprintf("Content-Type %q is not supported; send application/json in UTF-8", header))
}
