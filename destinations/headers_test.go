package destinations

import (
	"maps"
	"net/http"
	"strings"
	"testing"
)

// What is on the list goes in and comes out under the same name; nothing else
// does.
func TestHeadersThereAndBack(t *testing.T) {
	in := http.Header{}
	for name, value := range map[string]string{
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-Request-Id": " r1 ", "X-Tenant": "acme",
		"Authorization": "Bearer secret", "X-Other": "no", "X-Long": strings.Repeat("x", 1025), "X-Odd": "b\xe9", "Tracestate": "",
	} {
		in.Set(name, value)
	}
	md := MetadataFrom(in, []string{"x-tenant", "X-Long", "x-odd", "x-absent", "user-agent"})
	want := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-request-id": "r1", "x-tenant": "acme"}
	if !maps.Equal(md, want) {
		t.Fatalf("%v, want %v", md, want)
	}
	if MetadataFrom(http.Header{"X-Other": {"no"}}, nil) != nil {
		t.Error("a request with nothing on the list has metadata")
	}
	out := http.Header{"X-Tenant": {"old"}}
	md["bad name"], md["bad-value"], md["event-id"], md[""] = "v", "a\nb", "forged", "v"
	SetHeaders(out, md, func(name string) bool { return name == "Event-Id" })
	if len(out) != 3 || out.Get("X-Tenant") != "acme" || out.Get("Traceparent") != want["traceparent"] || out.Get("X-Request-Id") != "r1" {
		t.Errorf("%v", out)
	}
}

func TestMetadataIsBounded(t *testing.T) {
	in := http.Header{}
	var names []string
	for i := range 100 {
		name := "X-N" + strings.Repeat("n", i)
		in.Set(name, "v")
		names = append(names, name)
	}
	if n := len(MetadataFrom(in, names)); n != maxMetadata {
		t.Errorf("%d, want %d", n, maxMetadata)
	}
}
