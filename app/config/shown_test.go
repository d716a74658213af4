package config

import (
	"errors"
	"eventserver/app/config/strict"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestAllAtOnce is the promise in one file: faults of the parser's level, of
// types, of the common keys and of a kind, together and in the file's order.
func TestAllAtOnce(t *testing.T) {
	src := `http:
  addr: nowhere
  max_in_flight: many
broker:
  kind: kafka
  kind: memory
destinations:
- id: a
  kind: webhook
  retrry: {attempts: 3}
  url: http://x
- kind: webhook
  id: a
  url: ftp://x
  retry: {attempts: "many", initial: 1h}
- kind: sms
---
more: 1
`
	b := bad{src: src, want: `
		2: http.addr: "nowhere" has no port; write 127.0.0.1:8080, or :8080 for every interface
		3: http.max_in_flight: "many" is not a whole number; write one such as 10
		5: broker.brokers: missing; kafka needs a list of addresses such as [kafka-1:9092]
		6: broker.kind: duplicate key, first given on line 5; delete one
		10: destinations[0].retrry: unknown key; did you mean "retry"?
		13: destinations[1].id: "a" is already the id of destinations[0]; give each its own
		14: destinations[1].url: scheme "ftp" is not http or https; write an http:// or https:// URL
		15: destinations[1].retry.attempts: "many" is not a whole number; write one such as 10
		15: destinations[1].retry.initial: 1h is longer than max 30s; give a shorter one
		16: destinations[2].id: missing; give id (Name in topics, metrics and the poison queue)
		16: destinations[2].kind: "sms" is not a kind of destination; write one of file, kafka, log, webhook
		17: a second YAML document starts here; keep one, and delete this --- line`}
	b.check(t)

	_, err := Parse("t.yaml", []byte(src), Checks{Kinds: fakeKinds, Here: true})
	var all *strict.Faults
	if !errors.As(err, &all) || len(all.Unwrap()) != 12 || len(all.List()) != 12 {
		t.Fatalf("%T %v", err, err)
	}
	var one *strict.Fault
	if !errors.As(err, &one) || one.File != "t.yaml" || one.Line != 2 || one.Path != "http.addr" {
		t.Errorf("%+v", one)
	}
}

func TestRedacted(t *testing.T) {
	src := `
broker:
  kind: kafka
  brokers: ["k:1"]
  sasl: {mechanism: PLAIN, user: u, password: hunter2-broker}
http:
  keys: [{name: shop, sha256: [` + strings.Repeat("ab", 32) + `]}]
destinations:
- id: a
  kind: webhook
  url: https://user:hunter2@example.com/a?key=hunter2
  secret: hunter2-hook
  headers: {Authorization: Bearer hunter2, X-Tenant: blue}
  limits: {low: 2}
- {id: b, kind: file, path: "true"}
- {id: c, kind: webhook, url: https://chat.example.com/services/T0HUNTER2/xhunter2xXhunter2xXhunter2x/v1-of-the-interface}
`
	c := mustParse(t, src)
	got := c.Redacted()
	if strings.Contains(got, "hunter2") || strings.Contains(got, "abab") {
		t.Errorf("a secret is shown:\n%s", got)
	}
	for _, want := range []string{
		"password: '[secret]'", "url: https://[secret]@example.com/a?[secret]\n", "url: https://chat.example.com/services/T0HUNTER2/[secret]/v1-of-the-interface\n", "Authorization: '[secret]'", "X-Tenant: blue",
		"secret_next: ''", "max_bytes: 64KiB", "retention: 168h\n", "low: 2", "path: 'true'", "sha256: ['[secret]']", "sync: true\n",
	} {
		if !strings.Contains(strings.ReplaceAll(got, `"`, `'`), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	var back map[string]any
	if err := yaml.Unmarshal([]byte(got), &back); err != nil {
		t.Errorf("not YAML: %v", err)
	}
	// Without the kinds nobody knows what is secret.
	c, err := Parse("t.yaml", []byte(src), Checks{Here: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Redacted(); strings.Contains(got, "hunter2") || !strings.Contains(got, "[hidden]") {
		t.Errorf("got\n%s", got)
	}
}

func TestReference(t *testing.T) {
	got := Reference([]KindDoc{{"webhook", hook{}}, {"log", &nothing{}}})
	for _, want := range []string{
		"| `ordering` | `key`, `partition` | `key` |",
		"| `http.max_event_bytes` | size | `1MiB` | Maximum size of an event. (at least 1) |",
		"| `http.keys[].sha256` | list of text | **required** |",
		"| `broker.topics` | map to text |  |",
		"| `broker.instance_id` | text | the host name with kafka, otherwise eventserver |",
		"| `broker.sasl.password` | secret |  | PLAIN and SCRAM (required): password. Or `password_file`. |",
		"| `destinations[].retry.initial` | duration | `500ms` |",
		"### kind: webhook\n",
		"| `destinations[].secret` | secret |  | Key of the signature. Or `secret_file`. |",
		"| `destinations[].limits.low` | whole number | `1` | Least. |",
		"| `destinations[].wait` | duration | `1s` | A \\| wait. |",
		"| `destinations[].max_bytes` | size | `64KiB` |",
		"### kind: log\n\nNo keys of its own.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestTags: every key has a meaning, and its default keeps its own limits.
func TestTags(t *testing.T) {
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		strict.SetDefaults(reflect.New(typ).Elem()) // panics when one does not parse
		for _, f := range strict.FieldsOf(typ) {
			at := strict.JoinPath(path, f.Name)
			if !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s: doc %q is not a sentence", at, f.Doc)
			}
			if s := strict.StructOf(f.Type); s != nil {
				walk(at, s)
			} else if f.HasDefault {
				v := reflect.New(f.Type).Elem()
				if err := errors.Join(strict.SetScalar(v, f.Default, f), strict.CheckLimits(v, f, f.Default)); err != nil {
					t.Errorf("%s: default %v", at, err)
				}
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
}

func TestByteSize(t *testing.T) {
	for s, want := range map[string]strict.ByteSize{"0": 0, "1": 1, "7B": 7, "1KiB": strict.KiB, "3 MiB": 3 * strict.MiB, "2GiB": 2 * strict.GiB, "1TiB": strict.TiB} {
		got, err := strict.ParseByteSize(s)
		if err != nil || got != want {
			t.Errorf("%s: %v %v", s, got, err)
		}
		if again, err := strict.ParseByteSize(got.String()); err != nil || again != want {
			t.Errorf("%s: %v again: %v %v", s, got, again, err)
		}
	}
	for _, s := range []string{"", "-1", "1.5MiB", "1MB", "1k", "MiB", "99999999999999999999", "9007199254740992KiB", "1 "} {
		if got, err := strict.ParseByteSize(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// FuzzParse: no input panics, every fault has a message on one line, and
// neither a secret in the file nor one from the environment comes out.
func FuzzParse(f *testing.F) {
	const fromEnv = "Zq7-environment-Zq7"
	f.Setenv("FUZZ_SECRET", fromEnv)
	for _, src := range []string{
		"", "a: [", "a: &a {<<: *a}\n", "destinations: [{id: a, kind: log}]\n---\n", "http: {addr: \"${FUZZ_SECRET}\"}\nordering: ${FUZZ_SECRET}x\n",
		"destinations:\n- &d {id: \"${FUZZ_SECRET}\", kind: webhook, url: \"${FUZZ_SECRET}://x\", secret: ${FUZZ_SECRET}, headers: {A: b}, limits: {low: 99}}\n- *d\n- {<<: [*d], id: c, secret_file: ${FUZZ_SECRET}}\n",
		"broker: {kind: kafka, brokers: [${FUZZ_SECRET}], retention: 1s, topics: {\"a\": \"${FUZZ_SECRET}\"}, sasl: {mechanism: ${FUZZ_SECRET}, user: \"\", password: ${FUZZ_SECRET:-x}}}\nlog: ~\n? [a]\n: !x b\n",
	} {
		f.Add([]byte(src), "hunter2-hunter2")
	}
	f.Add([]byte("x"), "${FUZZ_SECRET}")
	f.Add([]byte("x"), "leaky \"${x\"\n\xff'[secret]")
	f.Fuzz(func(t *testing.T, src []byte, secret string) {
		c, err := Parse("t.yaml", src, Checks{Kinds: fakeKinds, Here: true})
		switch {
		case err == nil:
			if shown := c.Redacted(); shown == "" {
				t.Error("nothing shown")
			}
		case strings.Contains(err.Error(), fromEnv):
			t.Errorf("the environment's secret is in %q", err)
		default:
			for _, e := range err.(*strict.Faults).List() {
				if e.Msg == "" || strings.ContainsAny(e.Error(), "\r\n") {
					t.Errorf("fault %q", e)
				}
			}
		}
		if len(secret) < 6 || strings.Contains(secret, "${") {
			return
		}
		faults := func(secret string) string {
			_, err := Parse("t.yaml", []byte(fmt.Sprintf(
				"broker: {kind: kafka, sasl: {mechanism: x, password: %q}}\ndestinations:\n- {id: a, kind: webhook, secret: %[1]q, url: [%[1]q]}\n- {id: b, kind: webhook, url: x, secret: {a: %[1]q}, secret_next: [%[1]q]}\n",
				secret)), Checks{Kinds: fakeKinds, Here: true})
			return fmt.Sprint(err)
		}
		// A secret that is a part of the messages themselves shows nothing.
		if !strings.Contains(faults("leaky-something-else"), secret) && strings.Contains(faults(secret), secret) {
			t.Errorf("secret %q is in %s", secret, faults(secret))
		}
	})
}
