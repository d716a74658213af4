package destinations

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
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

// A header that is given several times is one list: none of its values is lost,
// and none takes the place of another.
func TestHeadersGivenSeveralTimes(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	member := func(key string, size int) string { return key + "=" + strings.Repeat("v", size-len(key)-1) }
	many := make([]string, 40)
	for i := range many {
		many[i] = "k" + strconv.Itoa(i) + "=v"
	}
	for name, c := range map[string]struct{ in, want map[string][]string }{
		"twice": {
			map[string][]string{"Traceparent": {parent}, "Tracestate": {"foo=1", "bar=2"}, "X-Request-Id": {"a", "b"}, "X-Tenant": {"t1", " t2 ", "t3"}},
			map[string][]string{"traceparent": {parent}, "tracestate": {"foo=1, bar=2"}, "x-request-id": {"a, b"}, "x-tenant": {"t1, t2, t3"}},
		},
		"the same value twice":         {map[string][]string{"X-Tenant": {"t", "t"}}, map[string][]string{"x-tenant": {"t, t"}}},
		"lists in each":                {map[string][]string{"Tracestate": {"a=1,b=2", "c=3"}}, map[string][]string{"tracestate": {"a=1,b=2, c=3"}}},
		"empty ones between":           {map[string][]string{"X-Tenant": {"", "t1", "  ", "t2", ""}, "Tracestate": {"", ""}}, map[string][]string{"x-tenant": {"t1, t2"}}},
		"traceparent twice":            {map[string][]string{"Traceparent": {parent, parent}, "Tracestate": {"a=1"}, "X-Tenant": {"t"}}, map[string][]string{"x-tenant": {"t"}}},
		"traceparent and an empty one": {map[string][]string{"Traceparent": {"", parent}, "Tracestate": {"a=1"}}, map[string][]string{"traceparent": {parent}, "tracestate": {"a=1"}}},
		"too long together":            {map[string][]string{"X-Tenant": {strings.Repeat("a", 600), strings.Repeat("b", 600)}}, nil},
		"one of them not printable":    {map[string][]string{"X-Tenant": {"a", "b\xe9"}}, nil},
		"tracestate with long members": {
			map[string][]string{"Tracestate": {member("long", 129) + "," + member("a", 128), member("b", 400) + "," + member("c", 500) + ",z=1"}},
			map[string][]string{"tracestate": {member("long", 129) + "," + member("a", 128) + "," + member("b", 400) + ",z=1"}},
		},
		"tracestate of short members": {
			map[string][]string{"Tracestate": {member("a", 100) + "," + member("b", 100), strings.Repeat(","+member("c", 128), 8)}},
			map[string][]string{"tracestate": {member("a", 100) + "," + member("b", 100) + strings.Repeat(","+member("c", 128), 6)}},
		},
		"tracestate of many members": {
			map[string][]string{"Tracestate": {strings.Join(many[:20], ","), strings.Join(many[20:], ", ")}},
			map[string][]string{"tracestate": {strings.Join(many[:32], ",")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := MetadataFrom(http.Header(c.in), []string{"X-Tenant"})
			want := map[string]string{}
			for k, v := range c.want {
				want[k] = v[0]
			}
			if !maps.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// Whatever a tracestate is, what goes on is within the bounds and whole members
// of it in their order.
func TestTracestateIsShortenedByWholeMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,3}=[0-9]{0,300}|,| `), 0, 60).Draw(t, "members")
		in := strings.Join(parts, ",")
		out := shortTracestate(in)
		if out == in && len(in) <= maxMetadataValue && strings.Count(in, ",") < mostMembers {
			return
		}
		if len(out) > maxMetadataValue || out != "" && strings.Count(out, ",") >= mostMembers {
			t.Fatalf("%d bytes, %d members", len(out), strings.Count(out, ",")+1)
		}
		rest := strings.Split(in, ",")
		for m := range strings.SplitSeq(out, ",") {
			at := slices.IndexFunc(rest, func(s string) bool { return strings.TrimSpace(s) == m })
			if out != "" && at < 0 {
				t.Fatalf("%q is no member of the rest of %q", m, in)
			}
			rest = rest[at+1:]
		}
	})
}
