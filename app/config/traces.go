package config

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"eventserver/app/config/strict"
	"eventserver/destinations"
)

// Traces is where spans go: OTLP over HTTP, in protobuf.
type Traces struct {
	Endpoint    string            `yaml:"endpoint" required:"true" secret:"path" doc:"Base URL of the collector, such as http://127.0.0.1:4318. Spans are posted to /v1/traces below it. The URL is never shown, because its path may be a token."`
	Headers     map[string]string `yaml:"headers" secret:"true" doc:"Headers of each request to the collector, such as Authorization."`
	SampleRatio float64           `yaml:"sample_ratio" default:"1" min:"0" max:"1" doc:"Share of the events without a traceparent that are traced. An event with a traceparent keeps its sampled flag."`
	ServiceName string            `yaml:"service_name" default:"eventserver" doc:"Name of this service in traces."`
}

// Validate checks the URL and the headers.
func (t *Traces) Validate() error {
	var f faultList
	const form = "write the collector's base URL, such as http://127.0.0.1:4318"
	u, err := url.Parse(t.Endpoint)
	switch {
	case t.Endpoint == "": // required says so
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		f.addf("endpoint: is no URL of a server over http or https; " + form)
	case destinations.CheckURLHost(u) != nil:
		f.addf("endpoint: %w; "+form, destinations.CheckURLHost(u))
	case u.User != nil:
		f.addf("endpoint: holds a user or a password; put them into headers, as Authorization")
	case u.RawQuery != "" || u.Fragment != "":
		f.addf("endpoint: has a query or a fragment; " + form)
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/v1/traces"):
		f.addf("endpoint: ends in /v1/traces, which is put behind it; leave it out")
	}
	names := make([]string, 0, len(t.Headers))
	for name := range t.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case !headerRE.MatchString(name):
			f.addf("headers: %s is no name of a header; use letters, digits and . _ -", strict.Quote(name))
		case slices.Contains([]string{"content-type", "content-length", "content-encoding", "host"}, strings.ToLower(name)):
			f.addf("headers.%s: is set by the server; delete it", name)
		case !httpguts.ValidHeaderFieldValue(t.Headers[name]):
			f.addf("headers.%s: has characters that HTTP forbids; write printable ASCII", name)
		}
	}
	if t.ServiceName == "" || !printableText(t.ServiceName) {
		f.addf("service_name: is empty, not printable or longer than 255 bytes; write a name such as eventserver")
	}
	return f.err()
}

func printableText(s string) bool {
	return len(s) <= 255 && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) < 0
}
