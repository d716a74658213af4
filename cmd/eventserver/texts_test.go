package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What libraries say of their own errors, a cause that is said twice, and a
// plural of one.
var (
	libraryTexts = regexp.MustCompile(`strconv\.|yaml: |json: cannot|Syntax error|<EOF>|\bGet "|\bPost "|dial tcp|connect: |parse "|%!|context deadline exceeded|reflect\.|\*[a-z]+\.[A-Z]`)
	pluralOfOne  = regexp.MustCompile(`\b1 (events|users|items|records|deliveries|attempts|faults|entries|partitions|schemas|bytes|were|are)\b`)
)

// doubled is a cause that stands twice in a row, such as "webhook: webhook: " or
// "open x: open x: ", or "".
func doubled(text string) string {
	parts := strings.Split(text, ": ")
	for i := 1; i < len(parts); i++ {
		if parts[i] == parts[i-1] {
			return parts[i]
		}
	}
	return ""
}

func checkText(t *testing.T, what, text string) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		if m := libraryTexts.FindString(line); m != "" {
			t.Errorf("%s: %q has a library's text %q", what, line, m)
		}
		if m := pluralOfOne.FindString(line); m != "" {
			t.Errorf("%s: %q says %q", what, line, m)
		}
		if m := doubled(line); m != "" {
			t.Errorf("%s: %q says %q twice", what, line, m)
		}
	}
}

func TestDoubled(t *testing.T) {
	for text, want := range map[string]string{"a: b: c": "", "webhook: webhook: 500": "webhook", "x: open f: open f: gone": "open f", "http://a:80: x": ""} {
		if got := doubled(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// The faults of a command line, of a file, and of a server that is not there or
// is another one, are in our words.
func TestFaultsAreInOurWords(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cut.json", `{"id":"a"`)
	write("number.json", `{"id":1,"type":"t","data":{}}`)
	write("one.json", `{"id":"a","type":"t","data":{"s":"x"}}`)
	write("empty", "")
	var stubbed http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/events"):
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"ids":[]}`))
		default:
			_, _ = w.Write([]byte(`<html>`))
		}
	}
	other := httptest.NewServer(stubbed)
	defer other.Close()
	cutter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cutter.Close() }()
	go func() {
		for {
			c, err := cutter.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	cuts := "http://" + cutter.Addr().String()
	for _, base := range []string{"http://127.0.0.1:1", other.URL, cuts, "foo", "http://a b:c", "http://127.0.0.1:x"} {
		for _, args := range [][]string{
			{"destinations"}, {"explain", "e"}, {"poison", "list"}, {"poison", "counts"}, {"poison", "show", "e"}, {"poison", "redrive", "--destination", "a"}, {"pause", "a"},
			{"resume", "a"}, {"retry", "a"}, {"replay", "a", "--since", "1h"}, {"forget", "a"}, {"reload"}, {"config"}, {"tail"},
		} {
			if _, err := shell(t, append(args, "--admin", base)...); err == nil {
				t.Errorf("%q at %s: no error", args, base)
			} else {
				checkText(t, strings.Join(args, " ")+" at "+base, err.Error())
			}
		}
		for _, args := range [][]string{{"health", "--url", base + "/readyz"}, {"send", "--url", base, "one.json"}} {
			if _, err := shell(t, args...); err != nil {
				checkText(t, strings.Join(args, " "), err.Error())
			} else if base != other.URL {
				t.Errorf("%q: no error", args)
			}
		}
	}
	for _, args := range []string{
		"send none.json", "send cut.json --url " + other.URL, "send number.json --url " + other.URL, "send --broker one.json", "send one.json --api-key-file none", "send one.json --batch x",
		"send one.json --batch 99999999999999999999", "tail", "tail --from x", "replay a --since x", "bench --users x", "schema list --dir none", "schema check --dir empty",
		"schema diff none none", "schema diff git:none:x none", "transform none.json --destination a", "transform cut.json --destination log", "transform one.json --destination x",
		"secret new --for x", "check --config none", "check --config " + dir, "serve --config none", "check --config env:NONE_SUCH", "poison list --since x",
	} {
		if _, err := shell(t, strings.Fields(args)...); err == nil {
			t.Errorf("%s: no error", args)
		} else {
			checkText(t, args, err.Error())
		}
	}
	const one = "destinations:\n- {id: a, kind: %s}\n"
	for _, text := range []string{
		"destinations:\n- id: a\n  kind: [\n", "\tdestinations: []\n", "destinations: []\n\xff", "a: &a [*b]\n", "destinations: [}\n", "- x\n", "x\n", "destinations: {}\n", "destinations: 5\n",
		"destinations: []\nhttp: {addr: 8080, max_event_bytes: 99999999999999999999, read_timeout: abc, max_batch_events: 1e9999, max_in_flight: -1}\n",
		"destinations: []\nhttp: {max_event_bytes: 1.5MiB, read_timeout: 99999999h, addr: '127.0.0.1:99999'}\n",
		"destinations: []\nbroker: {kind: kafka, brokers: ['a:b', ':1', 'x'], partitions: x, tls: {enabled: maybe}}\n",
		"destinations: []\nbroker: {topics: {evnts: x}}\nschemas: {dir: none}\ntraces: {endpoint: 'ht tp:'}\n",
		strings.ReplaceAll(one, "%s", "webhook, url: 'http://a b:x/%zz', timeout: x, ca_file: none, retry: {attempts: x}"),
		strings.ReplaceAll(one, "%s", "webhook, url: 'http://127.0.0.1:99999/', headers: {'a b': c}, proxy: '::', secret: x"),
		strings.ReplaceAll(one, "%s", "kafka, brokers: ['x:y'], topic: '/', filter: 'event.data.x >', transform: '{'"),
		strings.ReplaceAll(one, "%s", "file, path: empty/x, filter: 'event.type + 1', rate_limit: {per_second: x, burst: 1.5}"),
		strings.ReplaceAll(one, "%s", "log, secret_file: none, types: ['a b'], concurrency: 1e3, batch: {max_events: 0}"),
	} {
		write("es.yaml", text)
		if _, err := shell(t, "check", "--config", "es.yaml"); err == nil {
			t.Errorf("%q is valid", text)
		} else {
			checkText(t, text, err.Error())
		}
	}
}
