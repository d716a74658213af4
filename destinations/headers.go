package destinations

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The adapters of headers: what comes with a request as a header goes with its
// events as metadata, through the topics, and back out to receivers as a header
// of the same name. Names are lower-case in between.

// ContextHeaders always go with an event: the request's id and W3C Trace Context.
func ContextHeaders() []string { return []string{"traceparent", "tracestate", "x-request-id"} }

// Bounds of metadata, so that a request cannot grow each of its events' records.
const (
	maxMetadataValue = 1024 // bytes of one
	maxMetadata      = 64   // of them
)

// MetadataFrom returns what the allowed headers of a request say, and the
// ContextHeaders; nil when it has none. A value that is longer than 1 KiB or
// not printable ASCII is left out.
func MetadataFrom(h http.Header, allowed []string) map[string]string {
	var md map[string]string
	for _, names := range [][]string{ContextHeaders(), allowed} {
		for _, name := range names {
			value := strings.TrimSpace(h.Get(name))
			if value == "" || len(value) > maxMetadataValue || len(md) >= maxMetadata || !printable(value) {
				continue
			}
			if md == nil {
				md = map[string]string{}
			}
			md[strings.ToLower(name)] = value
		}
	}
	return md
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// SetHeaders puts metadata into the headers of a request. It sets none that
// reserved reports, by its canonical name.
func SetHeaders(h http.Header, metadata map[string]string, reserved func(canonical string) bool) {
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		if canonical := http.CanonicalHeaderKey(name); validName(name) && printable(metadata[name]) && !reserved(canonical) {
			h[canonical] = []string{metadata[name]}
		}
	}
}

// validName reports whether name can be a header: RFC 9110's token, as far as
// metadata needs it.
func validName(name string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			continue
		}
		return false
	}
	return true
}

type callKey struct{}

// WithCallMetadata gives an attempt metadata of its own, such as its trace
// context, beside that of the deliveries. The router sets it for a batch, which
// is of many events.
func WithCallMetadata(ctx context.Context, metadata map[string]string) context.Context {
	return context.WithValue(ctx, callKey{}, metadata)
}

// CallMetadata is what WithCallMetadata set; nil: nothing. A Batcher whose
// receiver takes headers passes it on by SetHeaders.
func CallMetadata(ctx context.Context) map[string]string {
	md, _ := ctx.Value(callKey{}).(map[string]string)
	return md
}
