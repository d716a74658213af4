package tracingtest

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one that came.
type Span struct {
	Name, Kind, TraceID, ID, Parent, State string // ids in hex; Parent "" of a root
	Attributes                             map[string]string
	Resource                               map[string]string
	Links                                  []string // "trace id-span id"
	Events                                 map[string]map[string]string
	Failed                                 bool
}

// Collector is a server that takes spans.
type Collector struct {
	*httptest.Server

	mu     sync.Mutex
	spans  []Span
	raw    []byte
	header http.Header
}

// New starts a collector, which ends with the test.
func New(t *testing.T) *Collector {
	c := &Collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(c.Close)
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &req)
	}
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw, c.header = append(c.raw, body...), r.Header.Clone()
	for _, rs := range req.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, read(s, attributes(rs.GetResource().GetAttributes())))
			}
		}
	}
}

func read(s *wire.Span, resource map[string]string) Span {
	out := Span{
		Name: s.GetName(), Kind: s.GetKind().String(), TraceID: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
		Parent: hex.EncodeToString(s.GetParentSpanId()), State: s.GetTraceState(), Attributes: attributes(s.GetAttributes()), Resource: resource,
		Events: map[string]map[string]string{}, Failed: s.GetStatus().GetCode() == wire.Status_STATUS_CODE_ERROR,
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetTraceId())+"-"+hex.EncodeToString(l.GetSpanId()))
	}
	for _, e := range s.GetEvents() {
		out.Events[e.GetName()] = attributes(e.GetAttributes())
	}
	return out
}

func attributes(in []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range in {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_IntValue:
			out[kv.GetKey()] = fmt.Sprint(v.IntValue)
		default:
			out[kv.GetKey()] = kv.GetValue().GetStringValue()
		}
	}
	return out
}

// Spans is what has come.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Raw is the bytes of all that came.
func (c *Collector) Raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.raw)
}

// Header is that of the last request.
func (c *Collector) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}
