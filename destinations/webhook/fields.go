package webhook

import (
	"net/http"
	"slices"

	"eventserver/destinations"
)

// field is a header of a request.
type field struct{ name, value string }

// fields are the headers of a request, each name once. A list takes a third of
// the CPU that an http.Header does. What is first in it wins.
type fields []field

// add adds a header whose name is not there yet.
func (f fields) add(name, value string) fields {
	if slices.ContainsFunc(f, func(other field) bool { return other.name == name }) {
		return f
	}
	return append(f, field{name, value})
}

// addMetadata adds an event's metadata, or that of a call.
func (f fields) addMetadata(metadata map[string]string) fields {
	if len(metadata) == 0 {
		return f
	}
	h := make(http.Header, len(metadata))
	destinations.SetHeaders(h, metadata, reserved)
	for name, values := range h {
		f = f.add(name, values[0])
	}
	return f
}

// http is for what takes the headers of net/http.
func (f fields) http() http.Header {
	h := make(http.Header, len(f))
	values := make([]string, len(f)) // one array for all
	for i, one := range f {
		values[i] = one.value
		h[one.name] = values[i : i+1 : i+1]
	}
	return h
}

// configured are the headers of the configuration, which has each name once.
func configured(headers map[string]string) fields {
	f := make(fields, 0, len(headers))
	for name, value := range headers {
		f = append(f, field{http.CanonicalHeaderKey(name), value})
	}
	return f
}
