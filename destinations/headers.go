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

// MetadataFrom returns the values of the allowed headers of a request, and of
// the ContextHeaders; nil when it has none. A header that is given several times
// is one list, as RFC 9110, 5.3 has it: "a, b". A value that is longer than
// 1 KiB or not printable ASCII is left out; a tracestate is shortened instead.
// Two traceparents are none (W3C Trace Context), and then there is no tracestate
// either.
func MetadataFrom(h http.Header, allowed []string) map[string]string {
	var md map[string]string
	present := func(canonical string) bool { return len(h[canonical]) > 0 } // canonical in the source: to make it so takes memory
	always := ContextHeaders()
	if !present("Traceparent") && !present("Tracestate") && !present("X-Request-Id") { // by far the most
		always = nil
	}
	for _, names := range [][]string{always, allowed} {
		for _, name := range names {
			name = strings.ToLower(name)
			value := combined(h, name)
			switch name {
			case "traceparent":
				if given(h, name) > 1 {
					continue
				}
			case "tracestate":
				if given(h, "traceparent") > 1 {
					continue
				}
				value = shortTracestate(value)
			}
			if value == "" || len(value) > maxMetadataValue || len(md) >= maxMetadata || !printable(value) {
				continue
			}
			if md == nil {
				md = map[string]string{}
			}
			md[name] = value
		}
	}
	return md
}

// given is how many values of the header are not empty.
func given(h http.Header, name string) (n int) {
	for _, v := range h.Values(name) {
		if strings.TrimSpace(v) != "" {
			n++
		}
	}
	return n
}

// combined is the header's values as one, in their order.
func combined(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) == 1 { // by far the most
		return strings.TrimSpace(values[0])
	}
	var all []string
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			all = append(all, v)
		}
	}
	return strings.Join(all, ", ")
}

// W3C Trace Context, 3.3.1: where a tracestate has to be shortened, whole members
// go, first those that are longer than 128 characters, then from the end.
const (
	longMember  = 128
	mostMembers = 32
)

func shortTracestate(value string) string {
	if len(value) <= maxMetadataValue && strings.Count(value, ",") < mostMembers {
		return value
	}
	var members []string
	size := 0 // of all members with a comma before each
	for m := range strings.SplitSeq(value, ",") {
		if m = strings.TrimSpace(m); m != "" {
			members = append(members, m)
			size += 1 + len(m)
		}
	}
	fits := func() bool { return size <= 1+maxMetadataValue && len(members) <= mostMembers }
	for i := len(members) - 1; i >= 0 && !fits(); i-- {
		if len(members[i]) > longMember {
			size -= 1 + len(members[i])
			members = slices.Delete(members, i, i+1)
		}
	}
	for !fits() {
		last := len(members) - 1
		size -= 1 + len(members[last])
		members = members[:last]
	}
	return strings.Join(members, ",")
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
