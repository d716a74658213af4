package app

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// allSeries are the series of a registry: names with their labels, no values.
// What Go and the process say of themselves is left out.
func allSeries(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	var out []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			s := f.GetName()
			for _, l := range m.GetLabel() {
				s += fmt.Sprintf(" %s=%q", l.GetName(), l.GetValue())
			}
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// seriesOf are the lines of /metrics that a server has for one destination more.
func seriesOf(t *testing.T, url, id string) (of []string) {
	t.Helper()
	resp, err := http.Get(url + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	mine := regexp.MustCompile(`[{,][a-z_]+="([^"]*\.)?` + id + `"`)
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, "#") && mine.MatchString(line) {
			of = append(of, strings.TrimSuffix(line, "\n"))
		}
	}
	require.NotEmpty(t, of)
	return of
}

// underRace says whether this test runs with the race detector, which is slow.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// noise is text of a client's choice, never the same twice.
func noise(r *rand.Rand) string { return fmt.Sprintf("%x", r.Uint64()) }

// A client chooses users, ids, types, paths, methods, headers and content
// types, and a receiver what it answers. None of it becomes a series: a
// hundred thousand users leave as many as the first hundred did.
func TestClientsMakeNoSeries(t *testing.T) {
	t.Parallel()
	users, requests := 100_000, 5000
	switch {
	case testing.Short():
		users, requests = 1000, 100
	case underRace():
		users, requests = 5000, 500
	}
	r := rand.New(rand.NewPCG(1, 2))
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-"+r.Header.Get("Webhook-Id")[:4], "noise")
		switch sum := len(body) % 7; sum {
		case 0:
			w.WriteHeader(400 + len(body)%9) // final
		case 1:
			w.WriteHeader(500 + len(body)%2)
		}
	}))
	defer receiver.Close()

	reg := prometheus.NewRegistry()
	cfg, err := loadText(t, "http: {addr: '127.0.0.1:0', max_batch_events: 1000, keys: [{name: k, sha256: [ad44dc8e51cfbfa55e81ddbb626b466241069045066846e7e4cd096131505290]}]}\n"+
		"broker: {kind: memory, partitions: 8}\nschemas: {dir: ../schemas, mode: warn}\ndestinations:\n"+
		"  - {id: all, kind: log}\n"+
		"  - {id: hook, kind: webhook, url: '"+receiver.URL+"', allow_private: true, types: [\"hook.*\", \"order.*\"],"+
		" transform: '{\"n\": event.data.n / (event.data.n % 3)}', retry: {attempts: 2, initial: 1ms, max: 2ms}, breaker: {failures: 10000, initial: 1ms, max: 2ms}, flood_guard: 0}\n",
		Options{})
	require.NoError(t, err)
	a := started(t, cfg, Options{Registry: reg, Stdout: io.Discard})
	url := "http://" + a.Addr()
	start := allSeries(t, reg)

	send := func(method, path string, body []byte, header http.Header) int {
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, bytes.NewReader(body))
		require.NoError(t, err)
		req.Header = header
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	trusted := func() http.Header {
		return http.Header{"Authorization": {"Bearer the-key"}, "Content-Type": {"application/json"}, "Traceparent": {noise(r)}, "X-" + noise(r): {noise(r)}}
	}
	sent := 0
	batches := func(users int) {
		const each = 1000
		for sent0 := sent; sent < sent0+users; {
			var items []string
			for range min(each, users) {
				kind := "t." + noise(r)
				switch r.IntN(200) {
				case 0:
					kind = "hook." + noise(r)
				case 1:
					kind = "order.placed" // breaks its schema
				}
				items = append(items, fmt.Sprintf(`{"id":"%d-%s","userId":"u%d","type":%q,"n":%d}`, sent, noise(r), sent, kind, r.IntN(9)))
				sent++
			}
			require.Equal(t, http.StatusAccepted, send(http.MethodPost, "/v1/events", []byte("["+strings.Join(items, ",")+"]"), trusted()))
		}
	}
	odd := func(n int) {
		methods := []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "POST", "X" + strings.ToUpper(noise(r))}
		paths := []string{"/v1/events", "/publish", "/metrics", "/readyz", "/v1/" + noise(r), "/" + noise(r) + "?" + noise(r)}
		for i := range n {
			h := trusted()
			switch i % 4 {
			case 0:
				h.Set("Content-Type", "application/"+noise(r))
			case 1:
				h.Set("Authorization", "Bearer "+noise(r))
			case 2:
				h.Set("Content-Encoding", noise(r))
			}
			path := paths[r.IntN(len(paths))]
			if i%2 == 0 {
				path = "/" + noise(r) + "/" + noise(r)
			}
			send(methods[r.IntN(len(methods))], path, []byte(`{"userId": "`+noise(r)+`", "payload": `+noise(r)+`}`), h)
		}
	}
	done := func() {
		require.Eventually(t, func() bool {
			for _, d := range []string{"all", "hook"} {
				n := 0.
				for _, outcome := range []string{"delivered", "skipped", "poisoned"} {
					n += value(t, reg, "eventserver_deliveries_total", map[string]string{"destination": d, "outcome": outcome})
				}
				if n < float64(sent) {
					return false
				}
			}
			return true
		}, 3*time.Minute, 50*time.Millisecond, "every event comes to its end")
	}

	batches(1000)
	odd(200)
	send(http.MethodPost, "/publish", []byte(`{"userId":"u","payload":"p"}`), trusted())
	sent++
	done()
	first := allSeries(t, reg)
	for _, s := range first {
		if !slices.Contains(start, s) {
			t.Errorf("not there from the start: %s", s)
		}
	}
	batches(users)
	odd(requests)
	done()
	for _, s := range allSeries(t, reg) {
		if !slices.Contains(first, s) {
			t.Errorf("a new series: %s", s)
		}
	}
	for _, d := range []string{"all", "hook"} {
		if of := seriesOf(t, url, d); len(of) > 62 {
			t.Errorf("destination %s has %d series, a thousand of them a thousand times as many:\n%s", d, len(of), strings.Join(of, "\n"))
		}
	}
	t.Logf("%d users, %d odd requests: %d series", users, requests, len(first))
}
