package main

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"eventserver/cmd/eventserver/e2e/harness"
)

// ran is what one call of a command printed.
type ran struct {
	stdout, stderr string
	code           int
}

// call runs the program in dir.
func call(t *testing.T, bin, dir, stdin string, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

const paid = `x-event: {type: order.paid, version: 1, key: /customerId}
description: |
  A customer has paid.
  Once for each order.
type: object
additionalProperties: false
required: [customerId, amount]
properties:
  customerId: {type: string, minLength: 1}
  amount: {type: integer, minimum: 0}
  note: {type: string}
examples:
  - {customerId: ada, amount: 1}
`

func TestSchemaCommands(t *testing.T) {
	bin := program(t)
	dir := t.TempDir()
	harness.Write(t, dir, "schemas/order.paid.yaml", paid)
	harness.Write(t, dir, "good.json", "{\n  \"type\": \"order.paid\",\n  \"customerId\": \"ada\",\n  \"amount\": 1\n}\n")
	harness.Write(t, dir, "batch.json", "[\n  {\"type\": \"order.paid\", \"customerId\": \"ada\", \"amount\": 1},\n"+
		"  {\"type\": \"order.paid\", \"customerId\": \"ada\", \"amount\": 1},\n  {\"type\": \"order.paid\",\n   \"customerId\": \"ada\"}]\n")
	harness.Write(t, dir, "events.ndjson", `{"type":"order.paid","customerId":"ada","amount":1}

{"customerId":"ada","amount":-1,"note":5}
{"type":"order.paid","customerId":"ada","amount":1
{"type":"order.pay","customerId":"ada","amount":1}
{"type":"order.paid","userId":"bob","customerId":"ada","amount":1}
{"type":"order.paid","id":"","customerId":"ada","amount":1}
`)
	harness.Write(t, dir, "bad/a.yaml", "x-event: {type: a, version: 0}\ntype: object\n")
	harness.Write(t, dir, "bad/b.yaml", "x-event: {type: b, version: 1}\ndescription: d\ntype: object\nproperties: {n: {typ: string}}\nexamples: [{}]\n")
	harness.Write(t, dir, "doubtful/a.yaml", "x-event: {type: a, version: 1}\ndescription: d\ntype: object\nproperties: {n: {pattern: \"^(a?b?){600}$\"}}\nexamples: [{}]\n")
	harness.Write(t, dir, "tried/order.paid.yaml", paid)
	harness.Write(t, dir, "tried/testdata/order.paid/valid-a.json", `{}`)
	harness.Write(t, dir, "later/order.paid.yaml", strings.NewReplacer("version: 1", "version: 2", "minimum: 0", "minimum: 1", "note: ", "text: ").Replace(paid))
	harness.Write(t, dir, "careless/order.paid.yaml", strings.NewReplacer("minimum: 0", "minimum: 1", "note: ", "text: ").Replace(paid))

	for _, tt := range []struct {
		args  string
		stdin string
		want  ran
	}{
		{args: "schema", want: ran{stderr: "eventserver: schema: name a command: list, check, validate, diff, new, generate\n", code: 2}},
		{args: "schema frob", want: ran{stderr: "eventserver: there is no command \"schema frob\"; eventserver schema --help lists the commands\n", code: 2}},
		{args: "schema list extra", want: ran{stderr: "eventserver: schema list: \"extra\" is one argument too many; write: eventserver schema list [flags]\n", code: 2}},
		{args: "schema list", want: ran{stdout: "TYPE        VERSION  KEY          FILE                     DESCRIPTION\n" +
			"order.paid  1        /customerId  schemas/order.paid.yaml  A customer has paid.\n"}},
		{args: "schema list --dir none", want: ran{stderr: "eventserver: none: cannot be read: no such file or directory; give the directory of the schemas\n", code: 1}},
		{args: "schema check", want: ran{stdout: "1 schema is valid\n"}},
		{args: "schema check --dir bad", want: ran{stderr: "bad/a.yaml:1: /x-event/version: is not a whole number from 1; write 1, and one more for each change that breaks\n" +
			"bad/a.yaml:1: /description: missing; say in a sentence what happened when this event is sent\n" +
			"bad/a.yaml:1: /examples: missing; give a list with at least one event, as it is posted\n" +
			"bad/b.yaml:4: /properties/n/typ: \"typ\" is no keyword of JSON Schema, so it would be ignored; did you mean type?\n" +
			"eventserver: 4 faults in bad\n", code: 1}},
		{args: "schema check --dir doubtful", want: ran{stdout: "warning: doubtful/a.yaml:4: /properties/n/pattern: \"^(a?b?){600}$\" is a regular expression of 3604 instructions, so a text of more than 3329 bytes is refused by the rule schema.cost with the default of schemas.max_cost; write smaller repeats, or maxLength instead\n" +
			"1 schema is valid\n"}},
		{args: "schema check --dir tried", want: ran{
			stderr: "tried/testdata/order.paid/valid-a.json: is refused: order.paid v1: required: \"customerId\" is missing (and 1 more); correct the event or the schema\n" +
				"eventserver: 1 fault in tried\n", code: 1}},
		{args: "schema validate good.json", want: ran{stdout: "1 event is valid\n"}},
		{args: "schema validate batch.json", want: ran{stdout: "batch.json:4: order.paid v1: required: \"amount\" is missing\n",
			stderr: "eventserver: 1 of 3 events would be refused\n", code: 1}},
		{args: "schema validate events.ndjson", want: ran{stdout: "events.ndjson:3: names no type; add one to the event, or give --type\n" +
			"events.ndjson:4: body: the JSON ends too early, at byte 51; send it whole\n" +
			"events.ndjson:5: order.pay: /type: x-event.type: has no schema, and types without one are refused; did you mean \"order.paid\"?\n" +
			"events.ndjson:6: order.paid v1: /customerId: x-event.key: differs from the event's key (or userId); send one of them, or the same value in both\n" +
			"events.ndjson:7: id: must not be empty; leave the field out or give it a value\n",
			stderr: "eventserver: 5 of 6 events would be refused\n", code: 1}},
		{args: "schema validate - --type order.paid", stdin: `{"customerId":"ada","amount":-1,"note":5}`, want: ran{
			stdout: "stdin:1: order.paid v1: /amount: minimum: must be >= 0 but is -1 (and 1 more)\n",
			stderr: "eventserver: 1 of 1 event would be refused\n", code: 1}},
		{args: "schema validate --type order.paid -", stdin: `{"type":"other"}`, want: ran{
			stdout: "stdin:1: is of type \"other\", not \"order.paid\"; correct the event or --type\n",
			stderr: "eventserver: 1 of 1 event would be refused\n", code: 1}},
		{args: "schema validate -", stdin: "{\n\"type\": \"order.paid\"\n", want: ran{
			stdout: "stdin:1: body: the JSON ends too early, at byte 23; send it whole\n",
			stderr: "eventserver: 1 of 1 event would be refused\n", code: 1}},
		{args: "schema validate --type other -", want: ran{
			stderr: "eventserver: there is no schema of type \"other\" in ./schemas; eventserver schema list shows the types\n", code: 1}},
		{args: "schema diff schemas schemas", want: ran{stdout: "nothing has changed\n"}},
		{args: "schema diff --json schemas schemas", want: ran{stdout: "[]\n"}},
		{args: "schema diff schemas careless", want: ran{
			stdout: "order.paid: /x-event/version: version not raised: breaking changes: 2; raise the version to 2 (breaking)\n" +
				"order.paid: /properties/amount/minimum: bound tightened: 0 -> 1 (breaking)\n" +
				"order.paid: /properties/note: property removed: consumers lose it (breaking)\n" +
				"order.paid: /properties/text: property added\n",
			stderr: "eventserver: 3 changes are not allowed; raise the version of the type, or take it back\n", code: 1}},
		{args: "schema diff schemas later --json", want: ran{stdout: `[
  {
    "type": "order.paid",
    "pointer": "/properties/amount/minimum",
    "kind": "bound tightened",
    "detail": "0 -> 1",
    "breaking": true,
    "allowed": true
  },
  {
    "type": "order.paid",
    "pointer": "/properties/note",
    "kind": "property removed",
    "detail": "consumers lose it",
    "breaking": true,
    "allowed": true
  },
  {
    "type": "order.paid",
    "pointer": "/properties/text",
    "kind": "property added",
    "detail": "",
    "breaking": false,
    "allowed": true
  }
]
`}},
		{args: "schema diff schemas later", want: ran{
			stdout: "order.paid: /properties/amount/minimum: bound tightened: 0 -> 1 (breaking, allowed by the higher version)\n" +
				"order.paid: /properties/note: property removed: consumers lose it (breaking, allowed by the higher version)\n" +
				"order.paid: /properties/text: property added\n"}},
		{args: "schema diff schemas", want: ran{stderr: "eventserver: write: eventserver schema diff OLD NEW [flags]\n", code: 2}},
		{args: "schema new a/b", want: ran{stderr: "eventserver: type \"a/b\" is no name of a type; write letters, digits, dots, _ and -, at most 100, the first a letter or digit, such as order.placed\n", code: 1}},
		{args: "schema new order.paid", want: ran{stderr: "eventserver: schemas/order.paid.yaml is there already; change it, or choose another type\n", code: 1}},
	} {
		if got := call(t, bin, dir, tt.stdin, strings.Fields(tt.args)...); got != tt.want {
			t.Errorf("eventserver %s:\ngot  %q %q %d\nwant %q %q %d", tt.args, got.stdout, got.stderr, got.code, tt.want.stdout, tt.want.stderr, tt.want.code)
		}
	}
}

// A commit's schemas are compared without touching the checkout.
func TestSchemaDiffOfCommits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	bin := program(t)
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)
		if got := call(t, "git", dir, "", args...); got.code != 0 {
			t.Fatalf("git %v: %+v", args, got)
		}
	}
	git("init", "-q")
	harness.Write(t, dir, "schemas/order.paid.yaml", strings.Replace(paid, "{type: string}", "{$ref: _c.yaml}", 1))
	harness.Write(t, dir, "schemas/_c.yaml", "type: string\n")
	harness.Write(t, dir, "other/deep/order.paid.yaml", paid)
	git("add", ".")
	git("commit", "-q", "-m", "first")
	harness.Write(t, dir, "schemas/order.paid.yaml", strings.Replace(paid, "minimum: 0", "minimum: 0.5", 1))
	harness.Write(t, dir, "other/deep/order.paid.yaml", "[]\n")
	git("add", ".")
	git("commit", "-q", "-m", "second")
	const tightened = "order.paid: /x-event/version: version not raised: breaking changes: 1; raise the version to 2 (breaking)\n" +
		"order.paid: /properties/amount/minimum: bound tightened: 0 -> 0.5 (breaking)\n"
	refused := "eventserver: 2 changes are not allowed; raise the version of the type, or take it back\n"
	const unknown = ": git knows no such directory; give git:REVISION:PATH with a path from the top of the repository, such as git:HEAD:schemas: git rev-parse: exit status 1\n"
	for _, tt := range []struct {
		dir  string
		args []string
		want ran
	}{
		{"", []string{"git:HEAD", "schemas"}, ran{stdout: "nothing has changed\n"}},
		{"", []string{"git:HEAD~1", "schemas"}, ran{tightened, refused, 1}},
		{"", []string{"git:HEAD~1:other/deep", "git:HEAD:schemas"}, ran{tightened, refused, 1}},
		{"other", []string{"git:HEAD~1:schemas", "../schemas"}, ran{tightened, refused, 1}},
		{"other", []string{"git:HEAD~1:./deep", "../schemas"}, ran{tightened, refused, 1}},
		{"", []string{"git:HEAD:other/deep", "schemas"}, ran{stderr: "eventserver: git:HEAD:other/deep/order.paid.yaml:1: is not a mapping; write lines of key: value, beginning with x-event\n", code: 1}},
		{"", []string{"git:HEAD~9", "schemas"}, ran{stderr: "eventserver: git:HEAD~9" + unknown, code: 1}},
		{"", []string{"git:--help", "schemas"}, ran{stderr: "eventserver: git:--help" + unknown, code: 1}},
		{"", []string{"git:HEAD:none", "schemas"}, ran{stderr: "eventserver: git:HEAD:none" + unknown, code: 1}},
	} {
		if got := call(t, bin, filepath.Join(dir, tt.dir), "", append([]string{"schema", "diff"}, tt.args...)...); got != tt.want {
			t.Errorf("%v:\ngot  %q %q %d\nwant %q %q %d", tt.args, got.stdout, got.stderr, got.code, tt.want.stdout, tt.want.stderr, tt.want.code)
		}
	}
}

func TestSchemaNew(t *testing.T) {
	bin := program(t)
	dir := t.TempDir()
	want := ran{stdout: `wrote schemas/order.refunded.yaml
wrote schemas/testdata/order.refunded/invalid-additionalProperties.json
wrote schemas/testdata/order.refunded/invalid-minimum-amount.json
wrote schemas/testdata/order.refunded/invalid-required-amount.json
wrote schemas/testdata/order.refunded/valid-least.json

Next:
  1. Write what the event says into schemas/order.refunded.yaml, with its examples.
  2. Write events that the schema must accept and refuse into schemas/testdata/order.refunded;
     the names of the files say which, and by which rule.
  3. eventserver schema check --dir ./schemas
  4. make generate
  5. go test ./schemas/...
`}
	if got := call(t, bin, dir, "", "schema", "new", "order.refunded"); got != want {
		t.Errorf("got %q %q %d", got.stdout, got.stderr, got.code)
	}
	want = ran{stdout: "1 schema is valid\n4 test events are as the names of the files say\n"}
	if got := call(t, bin, dir, "", "schema", "check"); got != want {
		t.Errorf("got %q %q %d", got.stdout, got.stderr, got.code)
	}
	if got := call(t, bin, dir, "", "schema", "new", "--dir", "elsewhere", "a.b"); got.code != 0 || strings.Contains(got.stdout, "make generate") {
		t.Errorf("got %q %q %d", got.stdout, got.stderr, got.code)
	}
}

func TestSchemaGenerate(t *testing.T) {
	bin := program(t)
	dir := t.TempDir()
	harness.Write(t, dir, "schemas/order.paid.yaml", paid)
	harness.Write(t, dir, "mine/events.go", "package mine\n")
	stale := func(what, flags string) ran {
		return ran{stderr: "eventserver: " + what + " is not what the schemas in ./schemas say; run: eventserver schema generate" + flags + "\n", code: 1}
	}
	for _, tt := range []struct {
		args string
		want ran
	}{
		{"--check", stale("schemas/events/events.go", "")},
		{"", ran{stdout: "wrote schemas/events/events.go\n"}},
		{"--check", ran{}},
		{"", ran{stdout: "wrote schemas/events/events.go\n"}},
		{"--check --package other", stale("schemas/events/events.go", " --package=other")},
		{"--out types/orders", ran{stdout: "wrote types/orders/events.go\n"}},
		{"--out types/orders --package orders --check", ran{}},
		{"--out mine", ran{stderr: "eventserver: mine/events.go is not a generated file; give another directory with --out\n", code: 1}},
		{"--out my-types", ran{stderr: "eventserver: \"my-types\" is no name of a Go package; write a word such as events\n", code: 1}},
		{"--dir none", ran{stderr: "eventserver: none: cannot be read: no such file or directory; give the directory of the schemas\n", code: 1}},
	} {
		if got := call(t, bin, dir, "", append([]string{"schema", "generate"}, strings.Fields(tt.args)...)...); got != tt.want {
			t.Errorf("%s:\ngot  %q %q %d\nwant %q %q %d", tt.args, got.stdout, got.stderr, got.code, tt.want.stdout, tt.want.stderr, tt.want.code)
		}
	}
	harness.Write(t, dir, "schemas/order.paid.yaml", strings.Replace(paid, "note:", "text:", 1))
	if got := call(t, bin, dir, "", "schema", "generate", "--check"); got != stale("schemas/events/events.go", "") {
		t.Errorf("after a change: %+v", got)
	}
}
