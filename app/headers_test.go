package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"eventserver/app/tracing/tracingtest"
)

// A header that a client gives several times reaches a receiver whole, through
// the topics, with spans and without, alone and in a batch. Only the first
// tracestate arrived.
func TestHeadersGivenTwiceReachTheReceiver(t *testing.T) {
	for name, traced := range map[string]bool{"without spans": false, "with spans": true} {
		t.Run(name, func(t *testing.T) {
			one, many := newHook(t), newHook(t)
			traces := ""
			if traced {
				traces = fmt.Sprintf("traces: {endpoint: %q}\n", tracingtest.New(t).URL)
			}
			a, stop := runApp(t, fmt.Sprintf(`broker: {kind: memory}
%sdestinations:
  - {id: one, kind: webhook, url: %q, allow_private: true}
  - {id: many, kind: webhook, url: %q, allow_private: true, batch: {max_events: 2, max_wait: 10s}}
`, traces, one.URL, many.URL))
			defer stop()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.Addr()+"/v1/events", strings.NewReader(`[{"userId":"u"},{"userId":"v"}]`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"Content-Type": {"application/json"}, "Traceparent": {clientParent},
				"Tracestate": {"foo=1", "bar=2"}, "X-Request-Id": {"r1", "r2"}}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				t.Fatal(resp.Status)
			}
			got := one.next(t)
			if state, id := strings.ReplaceAll(got.Get("tracestate"), " ", ""), got.Get("x-request-id"); state != "foo=1,bar=2" || id != "r1, r2" {
				t.Errorf("the receiver got tracestate %q, x-request-id %q", state, id)
			}
			many.next(t)
			body := strings.ReplaceAll(<-many.bodies, "foo=1, bar=2", "foo=1,bar=2")
			if strings.Count(body, `"foo=1,bar=2"`) != 2 || strings.Count(body, `"r1, r2"`) != 2 {
				t.Errorf("the receiver of batches got %s", body)
			}
		})
	}
}
