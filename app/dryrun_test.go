package app_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventserver/app"
	"eventserver/destinations"
)

// The dry run once read event.time of an event without one as the year 1, and
// the server as the time of its arrival. Both give the same for every event.
func TestDryRunGivesWhatTheServerGives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "eventserver.yaml")
	if err := os.WriteFile(file, []byte(`
http: {addr: "127.0.0.1:0"}
broker: {kind: memory}
destinations:
  - id: out
    kind: probe
    types: ["t.*", "t"]
    filter: '!has(event.data.skip) && event.received_at.getFullYear() > 2000'
    transform: >-
      {'type': event.type, 'source': event.source, 'has': [has(event.type), has(event.source)],
       'key': event.key == event.id ? 'its id' : event.key, 'id': event.id.startsWith('e') ? event.id : 'made',
       'time': event.time == event.received_at ? null : event.time, 'future': event.received_at > event.time + duration('1h'),
       'data': event.data, 'must': has(event.data.bad) ? event.data.bad + 1 : 0}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newProbe("out")
	o := app.Options{Stdout: io.Discard, Kinds: []app.Kind{
		app.NewKind("probe", func(string, struct{}) (destinations.Destination, error) { return p, nil })}}
	cfg, err := app.Load(file, o)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	stop := runs(t, a)
	defer stop()
	var want []string
	poisoned := 0
	for i, members := range []string{
		`"type":"t"`, `"type":"t","userId":"u"`, `"id":"e1","type":"t","userId":"u","data":{"a":1.10,"b":[1e2,-0]}`,
		`"type":"t.x","source":"shop","userId":"u","data":null`, `"type":"other","userId":"u"`, `"type":"t","data":{"skip":true}`,
		`"type":"t","userId":"u","time":"2026-01-02T03:04:05.123456789+02:00","data":{}`, `"type":"t","time":"1999-12-31T23:59:59Z"`,
		`"type":"t","time":"2999-12-31T23:59:59Z","data":[1, 2]`, `"type":"t","data":"text"`, `"type":"t","data":{"bad":"x"}`,
		`"type":"t","data":{"bad":1.5}`, `"type":"t","id":"e2","data":{"n":123456789012345678901234567890}`, `"type":"t","other":{"x":1}`,
	} {
		body := "{" + members + "}"
		var dry bytes.Buffer
		rehearsed, err := app.DryRun(t.Context(), cfg, o, "out", []byte(body))
		for _, r := range rehearsed {
			err = errors.Join(err, r.Err(), r.Write(&dry))
		}
		status, answer := post(t, "http://"+a.Addr()+"/v1/events", body)
		refused := err != nil && strings.Contains(err.Error(), "would be refused")
		if refused != (status >= 400) {
			t.Errorf("event %d: the server says %d %s, the dry run %v", i, status, answer, err)
		}
		switch {
		case refused || strings.Contains(dry.String(), "not sent"):
		case err != nil:
			poisoned++
		default:
			want = append(want, strings.TrimSpace(dry.String()))
		}
	}
	var got []string
	for _, d := range p.await(t, len(want)) {
		got = append(got, string(d.Payload.Body))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the server sent\n%s\nthe dry run gives\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	require.Positive(t, poisoned)
	require.Eventually(t, func() bool {
		_, metrics := get(t, "http://"+a.Addr()+"/metrics")
		n := 0
		for _, m := range regexp.MustCompile(`(?m)^eventserver_poisoned_total\{.*\} (\d+)$`).FindAllStringSubmatch(metrics, -1) {
			k, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			n += k
		}
		return n == poisoned
	}, 20*time.Second, 10*time.Millisecond, "the dry run poisons %d events", poisoned)
}
