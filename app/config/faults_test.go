package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type bad struct{ name, src, want string }

// check compares the faults of src, each line of want standing for one
// behind "t.yaml:".
func (b bad) check(t *testing.T) {
	t.Helper()
	c, err := Parse("t.yaml", []byte(b.src), Checks{Kinds: fakeKinds, Here: true})
	if err == nil {
		t.Fatalf("no fault; got\n%s", c.Redacted())
	}
	if c != nil {
		t.Error("a configuration beside the faults")
	}
	var want []string
	for line := range strings.SplitSeq(strings.TrimSpace(b.want), "\n") {
		want = append(want, "t.yaml:"+strings.TrimSpace(line))
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestFaults(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", "leaky-from-file\n")
	write("short", "short\r\n")
	write("empty", "\n")
	write("big", strings.Repeat("x", 64<<10+1))
	write("ca.pem", "ca")
	t.Setenv("MANY", "many")
	t.Setenv("LONG_VALUE", "ftp-and-a-secret")
	t.Setenv("EMPTY", "")
	const none = "destinations: []\n"
	// hooks begins a destination without faults, whose next line is line 4.
	const hooks = "destinations:\n- {id: a, kind: webhook, url: http://x}\n- kind: webhook\n"
	for _, b := range []bad{
		{"empty file", "", `1: destinations: missing; give destinations (List of destinations)`},
		{"only comments", "# nothing\n", `1: destinations: missing; give destinations (List of destinations)`},
		{"null document", "---\n", `1: destinations: missing; give destinations (List of destinations)`},
		{"root is a list", "- a\n", `1: is a list, not a mapping; write lines of key: value`},
		{"root is text", "hello\n", `1: is a single value, not a mapping; write lines of key: value`},
		{"unknown top level key", none + "borker: {kind: memory}\n", `2: borker: unknown key; did you mean "broker"?`},
		{"unknown key without a neighbour", none + "log: {colour: red}\n", `2: log.colour: unknown key; delete it, or write one of level, format`},
		{"key with dashes", none + "http: {max-event-bytes: 1MiB}\n", `2: http.max-event-bytes: unknown key; did you mean "max_event_bytes"?`},
		{"wrong case", none + "log:\n  Level: info\n", `3: log.Level: unknown key; did you mean "level"?`},
		{"odd key", none + "log: {\"a b\\nc\": 1}\n", `2: log["a b\nc"]: unknown key; delete it, or write one of level, format`},
		{"duplicate key", none + "log:\n  level: info\n  level: warn\n", `4: log.level: duplicate key, first given on line 3; delete one`},
		{"duplicate section", none + "log: {level: info}\nhttp: {}\nlog: {level: warn}\n", `4: log: duplicate key, first given on line 2; delete one`},
		{"key is a list", none + "log:\n  ? [a]\n  : b\n", `3: log: has a key that is not text; write a word before the colon`},
		{"key is null", none + "log: {~: b}\n", `2: log: has a key that is not text; write a word before the colon`},
		{"second document", none + "log: {level: loud}\n---\nlog: {}\n", `
			2: log.level: "loud" is not one of debug, info, warn, error; write one of these
			3: a second YAML document starts here; keep one, and delete this --- line`},
		{"second document is broken", none + "log: {level: inof}\n---\na: [\n", `
			2: log.level: "inof" is not one of debug, info, warn, error; did you mean "info"?
			5: is not YAML, or the line before is not; check the indentation (spaces, no tabs) and the brackets, and quote values with ": " or " #" inside or one of @ & * ! % | > { [ in front`},
		{"tab", "log:\n\tlevel: info\n", `2: is not YAML: it is indented with a tab; indent with spaces`},
		{"open bracket", "destinations: [\n", `2: is not YAML, or the line before is not; check the indentation (spaces, no tabs) and the brackets, and quote values with ": " or " #" inside or one of @ & * ! % | > { [ in front`},
		{"colon in a value", none + "ordering: a: b\n", `2: is not YAML, or the line before is not; check the indentation (spaces, no tabs) and the brackets, and quote values with ": " or " #" inside or one of @ & * ! % | > { [ in front`},
		{"unknown alias", none + "ordering: *hunter2\n", `2: an alias (*name) has no anchor (&name) above it; write the anchor, or quote a value that starts with *`},
		{"control character", none + "ordering: \x01\n", `2: is not YAML: it has a control character, or is not UTF-8; delete the character, or save the file as UTF-8`},
		{"own tag", none + "ordering: !hunter2 key\n", `2: ordering: has a YAML tag (!name); delete it, or quote a value that starts with !`},
		{"binary tag", none + "ordering: !!binary aGk=\n", `2: ordering: has a YAML tag (!name); delete it, or quote a value that starts with !`},
		{"merge of text", none + "log:\n  <<: level\n", `3: log: << does not name a mapping, or names itself; write <<: *anchor with the anchor of another mapping`},
		{"merge of itself", none + "log: &log\n  <<: *log\n", `2: log: << does not name a mapping, or names itself; write <<: *anchor with the anchor of another mapping`},
		{"fault behind an alias", none + "http: {read_timeout: &t soon, publish_timeout: *t}\n", `
			2: http.publish_timeout: "soon" is not a duration; write a number with its unit, such as 500ms, 30s or 1h30m
			2: http.read_timeout: "soon" is not a duration; write a number with its unit, such as 500ms, 30s or 1h30m`},
		{"no value", none + "log:\nordering: ~\n", `
			2: log: has no value; write lines of key: value below it, indented, or delete the key
			3: ordering: has no value; write one of key, partition, or delete the key for its default key`},
		{"text for a mapping", none + "log: info\n", `2: log: is a single value, not a mapping; write lines of key: value`},
		{"list for a mapping", none + "log: [info]\n", `2: log: is a list, not a mapping; write lines of key: value`},
		{"mapping for text", none + "ordering: {a: b}\n", `2: ordering: is a mapping, not a single value; write one value on the line of the key`},
		{"list for a number", none + "http: {max_in_flight: [1]}\n", `2: http.max_in_flight: is a list, not a single value; write one value on the line of the key`},
		{"text for a list", "destinations: log\n", `1: destinations: is a single value, not a list; write [a, b], or a line with a dash for each entry`},
		{"mapping for a list", "destinations: {log: {}}\n", `1: destinations: is a mapping, not a list; write [a, b], or a line with a dash for each entry`},
		{"list for a map", none + "broker: {topics: [a]}\n", `2: broker.topics: is a list, not a mapping; write lines of key: value`},
		{"bool is yes", none + "broker: {sync: yes}\n", `2: broker.sync: "yes" is not true or false; write one of the two`},
		{"not a whole number", none + "http: {max_batch_events: many, max_in_flight: 1.5}\n", `
			2: http.max_batch_events: "many" is not a whole number; write one such as 10
			2: http.max_in_flight: "1.5" is not a whole number; write one such as 10`},
		{"number out of range", none + "broker: {replication: 40000, partitions: 99999999999999999999}\n", `
			2: broker.partitions: "99999999999999999999" is out of range; write a number nearer to 0
			2: broker.replication: "40000" is out of range; write a number nearer to 0`},
		{"less than the least", none + "http: {max_in_flight: 0, read_timeout: 0s, max_event_bytes: 0}\n", `
			2: http.max_event_bytes: 0 is less than 1; give 1 or more
			2: http.max_in_flight: 0 is less than 1; give 1 or more
			2: http.read_timeout: 0s is less than 1ms; give 1ms or more`},
		{"more than the most", none + "broker: {partitions: 10001}\n", `2: broker.partitions: 10001 is more than 10000; give 10000 or less`},
		{"duration without a unit", none + "http: {read_timeout: 30}\n", `2: http.read_timeout: "30" is not a duration; write a number with its unit, such as 500ms, 30s or 1h30m`},
		{"duration in days", none + "broker: {kind: kafka, brokers: ['k:9092'], retention: 7d}\n", `2: broker.retention: "7d" is not a duration; write a number with its unit, such as 500ms, 30s or 1h30m`},
		{"size with MB", none + "http: {max_event_bytes: 1MB, max_batch_bytes: 99999999TiB}\n", `
			2: http.max_event_bytes: "1MB" is not a size; write bytes as a number, or 512KiB, 1MiB, 2GiB
			2: http.max_batch_bytes: "99999999TiB" is too large a size; write a smaller one`},
		{"not one of", none + "broker: {kind: kafak}\nlog: {level: verbose, format: JSON}\nordering: keys\n", `
			2: broker.kind: "kafak" is not one of embedded, memory, kafka; did you mean "kafka"?
			3: log.level: "verbose" is not one of debug, info, warn, error; write one of these
			3: log.format: "JSON" is not one of text, json; did you mean "json"?
			4: ordering: "keys" is not one of key, partition; did you mean "key"?`},
		{"address", none + "http: {addr: localhost}\n", `2: http.addr: "localhost" has no port; write 127.0.0.1:8080, or :8080 for every interface`},
		{"address with a large port", none + "http: {addr: 'localhost:70000'}\n", `2: http.addr: "localhost:70000" has a port that is not between 0 and 65535; write 127.0.0.1:8080, or :8080 for every interface`},
		{"batch smaller than an event", none + "http: {max_event_bytes: 16MiB}\n", `2: http.max_batch_bytes: 8MiB is less than max_event_bytes 16MiB; give at least as much`},
		{"key without digests", none + "http:\n  keys:\n  - name: a\n  - {name: b, sha256: []}\n", `
			4: http.keys[0].sha256: missing; give sha256 (SHA-256 digests of the key in hex)
			5: http.keys[1].sha256: has 0 entries; give at least 1`},
		{"admin digests", none + "admin:\n  addr: \"off\"\n  tokens:\n  - {name: a b, role: admin, sha256: [hunter2hunter2]}\n  - {name: c, role: read, sha256: [" + strings.Repeat("ab", 32) + "]}\n  - name: c\n    role: write\n    sha256:\n    - " + strings.Repeat("AB", 32) + "\n  - name: d\n", `
			5: admin.tokens[0].role: "admin" is not one of read, write; write one of these
			5: admin.tokens[0].name: "a b" has characters other than letters, digits and . _ -, or more than 64; give a shorter, plainer name
			5: admin.tokens[0].sha256[0]: is not a SHA-256 digest of 64 hex digits; write what printf %s "$TOKEN" | sha256sum prints
			7: admin.tokens[2].name: "c" is already the name of admin.tokens[1]; give each its own
			10: admin.tokens[2].sha256[0]: is the same digest as admin.tokens[1].sha256[0]; delete one
			11: admin.tokens[3].role: missing; give role (Rights of the token)
			11: admin.tokens[3].sha256: missing; give sha256 (SHA-256 digests of the token in hex)`},
		{"admin open to all", none + "admin: {addr: ':8081'}\n", `2: admin.addr: ":8081" can be reached from other machines and there are no admin.tokens; add tokens, or write 127.0.0.1 before the port`},
		{"admin open to a name", none + "admin: {addr: 'es-1:8081', tokens: []}\n", `2: admin.addr: "es-1:8081" can be reached from other machines and there are no admin.tokens; add tokens, or write 127.0.0.1 before the port`},
		{"little memory", none + "memory: 16MiB\n", `2: memory: 16MiB is too little for the largest request that http.max_batch_bytes, http.max_event_bytes and http.max_batch_events allow; give at least 206MiB, or lower these`},
		{"little memory for large requests", none + "memory: 256MiB\nhttp: {max_batch_bytes: 64MiB, max_event_bytes: 32MiB}\n", `2: memory: 256MiB is too little for the largest request that http.max_batch_bytes, http.max_event_bytes and http.max_batch_events allow; give at least 3086MiB, or lower these`},
		{"admin address", none + "admin: {addr: 'false'}\n", `2: admin.addr: "false" has no port; write 127.0.0.1:8081, or off for no admin API`},
		{"metrics", none + "http: {addr: '127.0.0.1:8080'}\nmetrics: {addr: '127.0.0.1:8085', tokens: [{name: a, sha256: [" + strings.Repeat("ab", 32) + "]}, {name: a, sha256: [" + strings.Repeat("AB", 32) + "]}]}\n", `
			3: metrics.tokens[1].name: "a" is already the name of metrics.tokens[0]; give each its own
			3: metrics.tokens[1].sha256[0]: is the same digest as metrics.tokens[0].sha256[0]; delete one`},
		{"metrics on another's address", none + "http: {addr: '127.0.0.1:8080'}\nmetrics: {addr: '127.0.0.1:8080'}\n", `3: metrics.addr: "127.0.0.1:8080" is the address of another listener already; give another port, or delete it for /metrics on http.addr`},
		{"metrics nowhere", none + "metrics: {addr: prometheus}\n", `2: metrics.addr: "prometheus" has no port; write 127.0.0.1:9090, or delete it for /metrics on http.addr`},
		{"no port after", none + "http: {addr: ':65535'}\n", `1: admin.addr: missing, and there is no port after 65535, that of http.addr; give an address such as 127.0.0.1:8081, or off`},
		{"a client that steers", none + "http:\n  keys: [{name: shop, sha256: [" + strings.Repeat("ab", 32) + "]}]\nadmin:\n  tokens: [{name: ann, role: read, sha256: [" + strings.Repeat("AB", 32) + "]}]\n", `
			5: admin.tokens[0].sha256[0]: is the same digest as http.keys[0].sha256[0], and a client must not steer the server; make a token of its own`},
		{"digests", none + "http:\n  keys:\n  - name: a b\n    sha256: [hunter2hunter2]\n  - name: c\n    sha256:\n    - " + strings.Repeat("ab", 32) + "\n    - " + strings.Repeat("AB", 32) + "\n  - {name: c, sha256: [a, b, c]}\n", `
			4: http.keys[0].name: "a b" has characters other than letters, digits and . _ -, or more than 64; give a shorter, plainer name
			5: http.keys[0].sha256[0]: is not a SHA-256 digest of 64 hex digits; write what printf %s "$KEY" | sha256sum prints
			9: http.keys[1].sha256[1]: is the same digest as http.keys[1].sha256[0]; delete one
			10: http.keys[2].sha256: has 3 entries; give at most 2
			10: http.keys[2].name: "c" is already the name of http.keys[1]; give each its own`},
		{"kafka without brokers", none + "broker:\n  sync: true\n  kind: kafka\n", `3: broker.brokers: missing; kafka needs a list of addresses such as [kafka-1:9092]`},
		{"brokers", none + "broker: {kind: kafka, brokers: [kafka, ':9092', 'k:1', 'k:1']}\n", `
			2: broker.brokers[0]: "kafka" has no port; write kafka-1:9092
			2: broker.brokers[1]: ":9092" has no host; write kafka-1:9092
			2: broker.brokers[3]: "k:1" is in the list already; delete one`},
		{"kafka keys elsewhere", none + "broker:\n  brokers: ['k:9092']\n  tls: {enabled: true}\n  sasl: {mechanism: PLAIN, user: u, password: hunter2hunter2}\n", `
			3: broker.brokers: is for kafka only and kind is embedded; delete it, or write kind: kafka
			4: broker.tls.enabled: is for kafka only and kind is embedded; delete it, or write kind: kafka
			5: broker.sasl: is for kafka only and kind is embedded; delete it, or write kind: kafka`},
		{"embedded without dir", none + "broker: {dir: ''}\n", `2: broker.dir: empty; give the directory of the embedded broker`},
		{"prefix and instance", none + "broker: {topic_prefix: a/b, instance_id: a b}\n", `
			2: broker.topic_prefix: "a/b" has characters other than letters, digits and . _ -, or more than 100; give a shorter, plainer prefix
			2: broker.instance_id: "a b" has characters other than letters, digits and . _ -, or more than 100; give a shorter, plainer name`},
		{"topics", none + "broker:\n  topics:\n    events: a/b\n    dest.log: x\n    poison.log: x\n    other:\n", `
			4: broker.topics.events: "a/b" is not a topic name; write letters, digits and . _ -, at most 249 with the prefix
			6: broker.topics["poison.log"]: "x" is already the name of "dest.log"; give each its own
			7: broker.topics.other: has no value; give one, or delete the key`},
		{"sasl", none + "broker:\n  kind: kafka\n  brokers: ['k:9092']\n  sasl:\n    mechanism: SCRAM-SHA-265\n", `
			6: broker.sasl.mechanism: "SCRAM-SHA-265" is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, AWS_MSK_IAM; did you mean "SCRAM-SHA-256"?`},
		{"sasl keys", none + "broker:\n  kind: kafka\n  brokers: ['k:9092']\n  sasl:\n    mechanism: OAUTHBEARER\n    user: u\n    token_url: https://id/token\n", `
			6: broker.sasl.client_id: missing; mechanism OAUTHBEARER needs it
			6: broker.sasl.client_secret: missing; mechanism OAUTHBEARER needs it
			7: broker.sasl.user: is for mechanism PLAIN and SCRAM and mechanism is OAUTHBEARER; delete it`},
		{"tls off", none + "broker: {kind: kafka, brokers: ['k:9092'], tls: {ca_file: ca.pem, insecure_skip_verify: true}}\n", `
			2: broker.tls.ca_file: has no effect without encryption; write enabled: true beside it, or delete it
			2: broker.tls.insecure_skip_verify: has no effect without encryption; write enabled: true beside it, or delete it`},
		{"tls files", none + "broker:\n  kind: kafka\n  brokers: ['k:9092']\n  tls:\n    enabled: true\n    ca_file: nowhere.pem\n    cert_file: ca.pem\n", `
			6: broker.tls.key_file: missing; give the key of cert_file
			7: broker.tls.ca_file: cannot be read: no such file or directory; give the path of a file that this process may read
			8: broker.tls.cert_file: holds no certificate in PEM form; give the file that begins with -----BEGIN CERTIFICATE-----`},
		{"mode of a type", none + "schemas:\n  dir: .\n  types:\n    a: enforec\n    b: strict\n", `
			5: schemas.types.a: "enforec" is no mode; did you mean "enforce"?
			6: schemas.types.b: "strict" is no mode; write enforce, warn or off`},
		{"role", none + "admin:\n  tokens: [{name: a, role: wirte, sha256: [" + strings.Repeat("ab", 32) + "]}]\n", `3: admin.tokens[0].role: "wirte" is not one of read, write; did you mean "write"?`},
		{"broker.dir is a file", none + "broker:\n  dir: secret\n", `3: broker.dir: ` + filepath.Join(dir, "secret") + ` is not a directory; give another path, or move what is there`},
		{"broker.dir in a file", none + "broker: {dir: secret/data/x}\n", `2: broker.dir: ` + filepath.Join(dir, "secret") + ` is not a directory; give another path, or move what is there`},
		{"retention", none + "broker: {kind: kafka, brokers: ['k:9092'], retention: -1h}\n", `2: broker.retention: -1h is less than 0; give 0 or more`},
		{"retention shorter than a retry", "broker: {kind: kafka, brokers: ['k:9092'], retention: 1h}\ndestinations:\n- {id: a, kind: log}\n- {id: b, kind: log, retry: {max_age: 90m}}\n", `1: broker.retention: 1h is not longer than destinations[1].retry.max_age 1h30m, so an event could be deleted while it is retried; give a longer retention, or 0 for ever`},
		{"environment", none + "http:\n  addr: ${NOT_SET_A}:${NOT_SET_B}\n  max_in_flight: ${MANY}\n  max_batch_events: \"${EMPTY}\"\n  read_timeout: ${open\n  publish_timeout: \"${a b}\"\n  shutdown_timeout: ${}\n", `
			3: http.addr: environment variable NOT_SET_A is not set; set it, or write ${NOT_SET_A:-default}
			3: http.addr: environment variable NOT_SET_B is not set; set it, or write ${NOT_SET_B:-default}
			4: http.max_in_flight: "${MANY}" with the environment filled in is not a whole number; write one such as 10
			5: http.max_batch_events: "${EMPTY}" with the environment filled in is not a whole number; write one such as 10
			6: http.read_timeout: has a ${ without its }; write ${NAME}, ${NAME:-default}, or $${ for a literal ${
			7: http.publish_timeout: has a ${...} that is not ${NAME} or ${NAME:-default}; a NAME has letters, digits and _; write $${ for a literal ${
			8: http.shutdown_timeout: has a ${...} that is not ${NAME} or ${NAME:-default}; a NAME has letters, digits and _; write $${ for a literal ${`},
		{"environment in a check", none + "http: {addr: \"${LONG_VALUE}\"}\nordering: ${LONG_VALUE}\n", `
			2: http.addr: "${LONG_VALUE}" has no port; write 127.0.0.1:8080, or :8080 for every interface
			3: ordering: "${LONG_VALUE}" with the environment filled in is not one of key, partition; write one of these`},
		{"no id, no kind", "destinations:\n- timeout: 1s\n- {}\n", `
			2: destinations[0].id: missing; give id (Name in topics, metrics and the poison queue)
			2: destinations[0].kind: missing; give kind (Kind of the destination, such as webhook)
			3: destinations[1].id: missing; give id (Name in topics, metrics and the poison queue)
			3: destinations[1].kind: missing; give kind (Kind of the destination, such as webhook)`},
		{"empty id", "destinations: [{id: '', kind: log}]\n", `1: destinations[0].id: empty; give id (Name in topics, metrics and the poison queue)`},
		{"ids", "destinations:\n- {id: a, kind: log}\n- {id: A_b, kind: log}\n- kind: log\n  id: a\n", `
			3: destinations[1].id: "A_b" is not an id; write lower-case letters, digits and -, at most 64, the first a letter or digit
			5: destinations[2].id: "a" is already the id of destinations[0]; give each its own`},
		{"entry without keys", "destinations:\n-\n- log\n", `
			2: destinations[0]: has no value; write its keys behind the dash, or delete the dash
			3: destinations[1]: is a single value, not a mapping; write lines of key: value`},
		{"too many destinations", "destinations:\n" + strings.Repeat("- {id: a, kind: log}\n", 1001), `2: destinations: has 1001 entries; give at most 1000`},
		{"unknown kind", "destinations:\n- {id: a, kind: webhok, url: x, retrry: {}}\n", `
			2: destinations[0].kind: "webhok" is not a kind of destination; did you mean "webhook"?
			2: destinations[0].retrry: unknown key; did you mean "retry"?
			2: destinations[0].url: scheme "x" is not http or https; write an http:// or https:// URL`},
		{"unknown kind, like no other", "destinations:\n- {id: a, kind: carrier-pigeon, url: x, retrry: {}}\n", `
			2: destinations[0].kind: "carrier-pigeon" is not a kind of destination; write one of file, kafka, log, webhook
			2: destinations[0].retrry: unknown key; did you mean "retry"?`},
		{"types", "destinations:\n- {id: a, kind: log, types: [order.*, '*', a*b, '*.a', '']}\n- {id: b, kind: log, types: []}\n- {id: c, kind: log, types: order}\n", `
			2: destinations[0].types[2]: "a*b" is not a pattern; write a whole type, a prefix with .* behind it, or *
			2: destinations[0].types[3]: "*.a" is not a pattern; write a whole type, a prefix with .* behind it, or *
			2: destinations[0].types[4]: "" is not a pattern; write a whole type, a prefix with .* behind it, or *
			3: destinations[1].types: has 0 entries; give at least 1
			4: destinations[2].types: is a single value, not a list; write [a, b], or a line with a dash for each entry`},
		{"numbers of a destination", "destinations:\n- {id: a, kind: log, concurrency: 0, timeout: 0s, rate_limit: {per_second: -1}}\n", `
			2: destinations[0].timeout: 0s is less than 1ms; give 1ms or more
			2: destinations[0].concurrency: 0 is less than 1; give 1 or more
			2: destinations[0].rate_limit.per_second: -1 is less than 0; give 0 or more`},
		{"rate", "destinations:\n- {id: a, kind: log, rate_limit: {per_second: .inf}}\n- {id: b, kind: log, rate_limit: {burst: 2}}\n", `
			2: destinations[0].rate_limit.per_second: ".inf" is not a number; write one such as 10 or 0.5
			3: destinations[1].rate_limit.burst: has no effect without per_second; give that, or delete it`},
		{"retry", "destinations:\n- {id: a, kind: log, retry: {attempts: \"many\", initial: 1m}}\n- {id: b, kind: log, retry: {attempts: 0}}\n", `
			2: destinations[0].retry.attempts: "many" is not a whole number; write one such as 10
			2: destinations[0].retry.initial: 1m is longer than max 30s; give a shorter one
			3: destinations[1].retry.attempts: 0 is less than 1; give 1 or more`},
		{"breaker", "destinations:\n- {id: a, kind: log, breaker: {initial: 2m, failures: 0}}\n", `
			2: destinations[0].breaker.failures: 0 is less than 1; give 1 or more
			2: destinations[0].breaker.initial: 2m is longer than max 1m; give a shorter one`},
		{"on_exhausted", "destinations:\n- {id: a, kind: log, on_exhausted: block}\n", `2: destinations[0].on_exhausted: "block" is not skip; write that, or delete the key`},
		{"kind: scheme", hooks + "  id: b\n  url: ftp://x\n", `5: destinations[1].url: scheme "ftp" is not http or https; write an http:// or https:// URL`},
		{"kind: missing", hooks + "  id: b\n", `3: destinations[1].url: missing; give url (Address to POST to)`},
		{"kind: unknown keys", hooks + "  id: b\n  url: http://x\n  retrry: {}\n  secrte: hunter2hunter2\n  zzz: hunter2hunter2\n", `
			6: destinations[1].retrry: unknown key; did you mean "retry"?
			7: destinations[1].secrte: unknown key; did you mean "secret"?
			8: destinations[1].zzz: unknown key; delete it, or write one of url, secret, secret_file, secret_next, secret_next_file, headers, allow_private, max_bytes, wait, limits, mode, statuses, part, id, kind, from, types, filter, transform, schema, timeout, concurrency, batch, rate_limit, retry, breaker, flood_guard, on_exhausted`},
		{"kind: no keys of its own", "destinations:\n- {id: a, kind: log, url: x}\n", `2: destinations[0].url: unknown key; delete it, or write one of id, kind, from, types, filter, transform, schema, timeout, concurrency, batch, rate_limit, retry, breaker, flood_guard, on_exhausted`},
		{"kind: types", hooks + "  id: b\n  url: [http://x]\n  secret: {hunter2: hunter2}\n  headers: {A: [b]}\n  statuses: [a, 20]\n  part: 300\n  limits: 5\n  max_bytes: much\n  wait: long\n  mode: get\n", `
			5: destinations[1].url: is a list, not a single value; write one value on the line of the key
			6: destinations[1].secret: is a mapping, not a single value; write one value on the line of the key
			7: destinations[1].headers.A: is a list, not a single value; write one value on the line of the key
			8: destinations[1].statuses[0]: "a" is not a whole number; write one such as 10
			8: destinations[1].statuses[1]: 20 is not a status; give one such as 200
			9: destinations[1].part: "300" is out of range; write a smaller number
			10: destinations[1].limits: is a single value, not a mapping; write lines of key: value
			11: destinations[1].max_bytes: "much" is not a size; write bytes as a number, or 512KiB, 1MiB, 2GiB
			12: destinations[1].wait: "long" is not a duration; write a number with its unit, such as 500ms, 30s or 1h30m
			13: destinations[1].mode: "get" is not one of post, put; did you mean "put"?`},
		{"kind: unsigned", hooks + "  id: b\n  url: http://x\n  part: -1\n", `6: destinations[1].part: "-1" is not a whole number from 0; write one such as 10`},
		{"kind: nested check", hooks + "  id: b\n  url: http://x\n  limits: {low: 10}\n  headers: {X-Good: a, X-Bad: b}\n", `
			6: destinations[1].limits.low: 10 is more than high 9; give less
			7: destinations[1].headers.X-Bad: is not allowed; delete it`},
		{"kind: check of no key", hooks + "  id: b\n  url: http://x\n  secret_next: hunter2hunter2\n", `3: destinations[1]: a next secret needs a present one; give secret`},
		{"kind: duplicate key", hooks + "  id: b\n  url: http://x\n  url: http://y\n", `6: destinations[1].url: duplicate key, first given on line 5; delete one`},
		{"kind: further check", hooks + "  id: b\n  url: http://x\n  filter: bad(\n", `6: destinations[1].filter: no closing bracket; write one`},
		{"kind: leaky check", hooks + "  id: b\n  url: http://x\n  secret: leaky-hunter2\n", `6: destinations[1].secret: "[secret]"; is leaky, [secret]`},
		{"secret without a value", hooks + "  id: b\n  url: http://x\n  secret:\n", `6: destinations[1].secret: has no value; give one, or delete the key`},
		{"secret with a bad variable", hooks + "  id: b\n  url: http://x\n  secret: hunter2${hunter 2}\n  secret_next: hunter2${hunter2\n", `
			6: destinations[1].secret: has a ${...} that is not ${NAME} or ${NAME:-default}; a NAME has letters, digits and _; write $${ for a literal ${
			7: destinations[1].secret_next: has a ${ without its }; write ${NAME}, ${NAME:-default}, or $${ for a literal ${`},
		{"secret given twice", hooks + "  id: b\n  url: http://x\n  secret: hunter2hunter2\n  secret_file: secret\n", `7: destinations[1].secret_file: both secret and secret_file are given; delete one`},
		{"secret files", hooks + "  id: b\n  url: http://x\n  secret_file: hunter2\n  secret_next_file: .\n", `
			6: destinations[1].secret_file: cannot be read: no such file or directory; give the path of a file that this process may read
			7: destinations[1].secret_next_file: is not the path of a regular file; give the path of a file that this process may read`},
		{"secret files that are not", hooks + "  id: b\n  url: http://x\n  secret_file: empty\n  secret_next_file: big\n", `
			6: destinations[1].secret_file: is an empty file; write the secret into it
			7: destinations[1].secret_next_file: is a file of more than 64KiB; give the file that holds only the secret`},
		{"secret file: leaky check", hooks + "  id: b\n  url: http://x\n  secret_file: secret\n", `6: destinations[1].secret: "[secret]"; is leaky, [secret]`},
		{"secret file: check", hooks + "  id: b\n  url: http://x\n  secret_file: short\n", `6: destinations[1].secret: is too short; give 24 bytes or more`},
		{"required secret file", none + "broker:\n  kind: kafka\n  brokers: ['k:9092']\n  sasl: {mechanism: PLAIN, user: u, password_file: nowhere}\n", `5: broker.sasl.password_file: cannot be read: no such file or directory; give the path of a file that this process may read`},
	} {
		t.Run(b.name, func(t *testing.T) { b.check(t) })
	}
}
