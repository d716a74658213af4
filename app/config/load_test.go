package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"eventserver/app/config/strict"
	"eventserver/app/textfile"
	"eventserver/destinations"
)

func mustParse(t *testing.T, src string) *Config {
	t.Helper()
	c, err := Parse("t.yaml", []byte(src), Checks{Kinds: fakeKinds, Here: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hookOf(t *testing.T, d Destination) hook {
	t.Helper()
	var h hook
	if err := d.Settings.Decode(&h); err != nil {
		t.Fatal(err)
	}
	return h
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDefault(t *testing.T) {
	c := Default()
	equal(t, c.HTTP, HTTP{Addr: "127.0.0.1:8080", MaxEventBytes: strict.MiB, MaxBatchBytes: 8 * strict.MiB, MaxBatchEvents: 500,
		MaxInFlight: 1024, PublishTimeout: 5 * time.Second, ShutdownTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second})
	equal(t, c.Broker, Broker{Kind: "embedded", Dir: "./data", Sync: true, TrimAge: time.Hour, Partitions: 8, Replication: 1,
		Retention: 168 * time.Hour, InstanceID: "eventserver", SessionTimeout: 10 * time.Second, Rebalance: "cooperative", WindowMessages: 1000, WindowSpan: 1_000_000})
	equal(t, c.Admin, Admin{Addr: "127.0.0.1:8081"})
	equal(t, c.Memory, 256*strict.MiB)
	equal(t, c.Ordering, "key")
	equal(t, c.Log, Log{Level: "info", Format: "text"})
	if len(c.Destinations) != 1 {
		t.Fatal(c.Destinations)
	}
	d := c.Destinations[0]
	if err := d.Settings.Decode(&nothing{}); err != nil {
		t.Error(err)
	}
	d.Settings = nil
	equal(t, d, Destination{ID: "log", Kind: "log", From: "oldest", Timeout: 10 * time.Second, Concurrency: 64,
		RateLimit:   RateLimit{Burst: 1},
		Retry:       Retry{Initial: 500 * time.Millisecond, Max: 30 * time.Second, Attempts: 10, MaxAge: 10 * time.Minute},
		Breaker:     Breaker{Failures: 20, Initial: time.Second, Max: time.Minute},
		FloodGuard:  20,
		OnExhausted: "skip"})
}

func TestValues(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"secret": "line 1\nline 2\n\n", "crlf": "from-file\r\n", "ca.pem": authority(t)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := mustParse(t, `
http:
  addr: ":0"
  max_event_bytes: 512 KiB
  max_batch_bytes: 1048576
  keys: [{name: shop, sha256: [`+strings.Repeat("AB", 32)+`]}]
broker:
  kind: kafka
  brokers: [k-1:9092, "[::1]:9092"]
  sync: false
  retention: 0
  topic_prefix: team.
  topics: {events: all-events, dest.a: to-a}
  tls: {enabled: true, ca_file: ca.pem, insecure_skip_verify: true}
  sasl: {mechanism: PLAIN, user: 007, password_file: crlf}
ordering: partition
destinations:
- &first
  id: a
  kind: webhook
  url: http://a
  secret_file: secret
  types: [order.*, "*", order.placed]
  headers: {X-Tenant: 12, empty: ""}
  rate_limit: {per_second: 2.5}
  retry: &retry {initial: 1s, attempts: 3}
- <<: *first
  id: b
  secret_file: crlf
  max_bytes: 1KiB
  limits: {high: 3}
  statuses: [200, 409]
- {<<: [{kind: webhook, url: "http://c"}, *first], id: c, retry: *retry, rate_limit: {per_second: 1, burst: 7}}
`)
	host, _ := os.Hostname()
	if c.Broker.InstanceID == "" || c.Broker.InstanceID == "eventserver" && host != "" && host != "eventserver" {
		t.Errorf("instance id %q is not the host name", c.Broker.InstanceID)
	}
	equal(t, c.HTTP.Keys, []APIKey{{Name: "shop", SHA256: []string{strings.Repeat("ab", 32)}}})
	equal(t, c.HTTP.MaxEventBytes, 512*strict.KiB)
	equal(t, c.HTTP.MaxBatchBytes, strict.MiB)
	equal(t, c.Broker.Sync, false)
	equal(t, c.Broker.Retention, time.Duration(0))
	equal(t, c.Broker.Topics, map[string]string{"events": "all-events", "dest.a": "to-a"})
	equal(t, *c.Broker.SASL, SASL{Mechanism: "PLAIN", User: "007", Password: "from-file"})
	a, b, third := c.Destinations[0], c.Destinations[1], c.Destinations[2]
	equal(t, a.Types, []string{"order.*", "*", "order.placed"})
	equal(t, a.RateLimit, RateLimit{PerSecond: 2.5, Burst: 3})
	equal(t, third.RateLimit, RateLimit{PerSecond: 1, Burst: 7})
	equal(t, b.Retry, Retry{Initial: time.Second, Max: 30 * time.Second, Attempts: 3, MaxAge: 10 * time.Minute})
	equal(t, third.Retry, b.Retry)
	equal(t, hookOf(t, a), hook{URL: "http://a", Secret: "line 1\nline 2\n", Headers: map[string]string{"X-Tenant": "12", "empty": ""},
		MaxBytes: 64 << 10, Wait: time.Second, Mode: "post", Part: 3})
	hb := hookOf(t, b)
	equal(t, hb.Secret, destinations.Secret("from-file"))
	equal(t, *hb.Limits, hookLimits{Low: 1, High: 3})
	equal(t, hb.MaxBytes, 1024)
	equal(t, hb.Statuses, []int{200, 409})
	equal(t, hookOf(t, third).URL, "http://c")
	equal(t, third.Settings.Path(), "destinations[2]")
	equal(t, third.Settings.Common().ID, "c")
}

func TestEnvironment(t *testing.T) {
	t.Setenv("ES_HOST", "localhost")
	t.Setenv("ES_N", "7")
	t.Setenv("ES_EMPTY", "")
	t.Setenv("ES_EVIL", "x\nlog: {level: debug}\n# ${ES_N}")
	c := mustParse(t, `
http:
  addr: ${ES_HOST}:${ES_PORT:-99}
  max_in_flight: ${ES_N}
  max_batch_events: "${ES_EMPTY:-8}"
broker: {sync: "${ES_SYNC:-false}", dir: "$ES_N $${ES_N} $$ a$${b}${ES_EMPTY}${ES_NONE:-}}"}
destinations:
- {id: a, kind: log, filter: "${ES_EVIL}", transform: '${ES_EVIL:-y} :- ${ES_EMPTY:-:-}'}
`)
	equal(t, c.HTTP.Addr, "localhost:99")
	equal(t, c.HTTP.MaxInFlight, 7)
	equal(t, c.HTTP.MaxBatchEvents, 8)
	equal(t, c.Broker.Sync, false)
	equal(t, c.Broker.Dir, "$ES_N ${ES_N} $$ a${b}}")
	equal(t, c.Log.Level, "info")
	equal(t, c.Destinations[0].Filter, "x\nlog: {level: debug}\n# ${ES_N}")
	equal(t, c.Destinations[0].Transform, "x\nlog: {level: debug}\n# ${ES_N} :- :-")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "eventserver.yaml")
	_, err := Load(path, Checks{Kinds: fakeKinds})
	equal(t, fmt.Sprint(err), path+": cannot be read: no such file or directory; give the path of a configuration file after --config, - or env:NAME")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("not fs.ErrNotExist")
	}
	_, err = Load(dir, Checks{Kinds: fakeKinds})
	equal(t, fmt.Sprint(err), dir+": cannot be read: is a directory; give the path of a configuration file after --config, - or env:NAME")

	// The largest file, and one byte more.
	src := []byte("destinations: []\n#" + strings.Repeat("x", textfile.MaxBytes))[:textfile.MaxBytes]
	for _, s := range [][]byte{src, append(src, 'x')} {
		if err := os.WriteFile(path, s, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = Load(path, Checks{Kinds: fakeKinds})
		if want := path + ": is larger than 1MiB; a configuration is smaller, so give the right file or fewer destinations"; len(s) > textfile.MaxBytes {
			equal(t, fmt.Sprint(err), want)
		} else if err != nil {
			t.Error(err)
		}
	}
}

// TestAliasBomb: nine levels of ten aliases, and a list that a thousand
// destinations share, stand for more values than there is memory.
func TestAliasBomb(t *testing.T) {
	values := 50_000
	if testing.Short() {
		values = 1000 // behind each of the aliases
	}
	big := "destinations:\n- {id: a, kind: log, types: &big [" + strings.Repeat("a,", values) + "a]}\n" +
		strings.Repeat("- {id: b, kind: log, types: *big}\n", 999)
	_, err := Parse("t.yaml", []byte(big), Checks{Kinds: fakeKinds, Here: true})
	if err == nil || !strings.Contains(err.Error(), "the file stands for more than 200000 values, those behind aliases included; use fewer") {
		t.Errorf("got %.200v", err)
	}
	var merge strings.Builder
	merge.WriteString("broker:\n  topics:\n    <<: &m0 {a: b}\n")
	for i := range 9 {
		fmt.Fprintf(&merge, "log%d: &m%d {<<: [%s*m%d]}\n", i, i+1, strings.Repeat(fmt.Sprintf("*m%d, ", i), 20), i)
	}
	merge.WriteString("log: {<<: *m9}\n")
	if _, err = Parse("t.yaml", []byte(merge.String()), Checks{Kinds: fakeKinds, Here: true}); err == nil {
		t.Error("no fault")
	}
}

func TestKindsNotChecked(t *testing.T) {
	c, err := Parse("t.yaml", []byte("destinations: [{id: a, kind: other, url: 1, zzz: 2}]"), Checks{Here: true})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Destinations[0].Settings.Decode(&hook{})
	equal(t, fmt.Sprint(err), `t.yaml:1: destinations[0].zzz: unknown key; delete it, or write one of `+
		strings.Join(append(strict.KeysOf(strict.FieldsOf(reflect.TypeFor[hook]())), commonKeys()...), ", ")+
		"\n"+`t.yaml:1: destinations[0].url: scheme "1" is not http or https; write an http:// or https:// URL`)
	if err := new(Settings).Decode(&nothing{}); err != nil {
		t.Errorf("settings of no file: %v", err)
	}
}

func TestExamples(t *testing.T) {
	t.Setenv("ORDERS_SECRET", "hunter2hunter2")
	for _, name := range []string{"minimal", "all-kinds"} {
		c, err := Load("../../examples/config/"+name+".yaml", Checks{Kinds: fakeKinds})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.Redacted(), "hunter2") {
			t.Error("secret shown")
		}
	}
}

func TestAdminAddr(t *testing.T) {
	for src, want := range map[string]string{
		"http: {addr: ':9000'}":                      "127.0.0.1:9001", // not on every interface
		"http: {addr: '10.0.0.1:80'}":                "127.0.0.1:81",
		"http: {addr: '127.0.0.1:0'}":                "127.0.0.1:0",
		"admin: {addr: off}":                         AdminOff,
		"admin: {addr: '[::1]:7'}":                   "[::1]:7",
		"admin: {addr: 'localhost:7'}":               "localhost:7",
		"admin: {addr: '127.1.2.3:7'}":               "127.1.2.3:7",
		"http: {addr: ':65535'}\nadmin: {addr: off}": AdminOff,
		"admin: {addr: ':7', tokens: [{name: a, role: read, sha256: [" + strings.Repeat("Ab", 32) + "]}]}": ":7",
	} {
		c := mustParse(t, src+"\ndestinations: []")
		equal(t, c.Admin.Addr, want)
		for _, tok := range c.Admin.Tokens {
			equal(t, tok.SHA256, []string{strings.Repeat("ab", 32)})
		}
	}
}
