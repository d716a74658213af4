package app_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"eventserver/app/tracing/tracingtest"
)

// With batch configured a receiver reads one shape: of batches, of what is left
// of one that failed, and of destinations whose batches are of one.
func TestWebhookWithBatchAlwaysGetsArrays(t *testing.T) {
	for name, c := range map[string]struct {
		batch    string
		statuses []int
		sizes    []int // of the requests; they come in any order after the first
	}{
		"one event at a time":      {"{max_events: 1}", nil, []int{1, 1, 1}},
		"the default of one":       {"{}", nil, []int{1, 1, 1}},
		"only a limit of its size": {"{max_bytes: 1KiB}", nil, []int{1, 1, 1}},
		"a batch that failed":      {"{max_events: 3, max_wait: 10s}", []int{500}, []int{3, 1, 1, 1}},
		"a refused batch":          {"{max_events: 3, max_wait: 10s}", []int{400, 500}, []int{3, 1, 1, 1, 1}},
	} {
		for _, traces := range []string{"", fmt.Sprintf("traces: {endpoint: %q}\n", tracingtest.New(t).URL)} {
			t.Run(name, func(t *testing.T) {
				receiver := newHook(t, c.statuses...)
				a, stop := runApp(t, fmt.Sprintf(`broker: {kind: memory, partitions: 1}
%sdestinations: [{id: many, kind: webhook, url: %q, allow_private: true, retry: {initial: 1ms, max: 1ms}, batch: %s}]
`, traces, receiver.URL, c.batch))
				defer stop()
				send(t, "http://"+a.Addr(), `[{"id":"a","userId":"u"},{"id":"b","userId":"v"},{"id":"c","userId":"w"}]`, nil)
				seen := map[string]bool{}
				for i, size := range c.sizes {
					header, body := receiver.next(t), <-receiver.bodies
					var items []struct {
						EventID string `json:"event_id"`
						Data    struct {
							ID string `json:"id"`
						} `json:"data"`
					}
					if err := json.Unmarshal([]byte(body), &items); err != nil || len(items) != size {
						t.Fatalf("request %d is not an array of %d: %s", i, size, body)
					}
					if header.Get("Batch-Size") != fmt.Sprint(size) || header.Get("Event-Id") != "" || (header.Get("Traceparent") == "") != (traces == "") {
						t.Errorf("request %d has the headers %v", i, header)
					}
					for _, item := range items {
						if item.Data.ID != item.EventID {
							t.Errorf("item %+v", item)
						}
						seen[item.EventID] = true
					}
				}
				if len(seen) != 3 {
					t.Errorf("events %v", seen)
				}
			})
		}
	}
}
