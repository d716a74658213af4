package config

import (
	"time"

	"eventserver/app/ingest/budget"
	"eventserver/destinations"
)

// Config is the whole file. Every field has its effective value: defaults are
// filled in by Load, Parse and Default.
type Config struct {
	HTTP         HTTP          `yaml:"http" doc:"How events are accepted."`
	Metrics      Metrics       `yaml:"metrics" doc:"Who may read the metrics."`
	Admin        Admin         `yaml:"admin" doc:"How operators see and steer the server."`
	Broker       Broker        `yaml:"broker" doc:"Where events are stored until every destination has them."`
	Ordering     string        `yaml:"ordering" default:"key" oneof:"key partition" doc:"What keeps its order; key: the events of one key, so that a slow user holds up nobody else; partition: all events of a partition, one at a time."`
	Memory       ByteSize      `yaml:"memory" default:"0" min:"0" doc:"Most memory of events that are not finished. One half is for requests: heads, bodies, decompressors and decoded events, a quarter of it for connections (16KiB each) and a quarter for requests of up to 128KiB; more is answered 429, and a request that would not fit alone 413. Three eighths are for what destinations have read and not delivered: those that hold most stop reading first, and what they do not read stays in the broker. An eighth is for what the broker holds of them while it stores and reads. 0, the default, is 256MiB, or more where http.max_batch_bytes and http.max_event_bytes need it."`
	Schemas      *Schemas      `yaml:"schemas" doc:"Schemas of the events' types; without it none are looked at."`
	Traces       *Traces       `yaml:"traces" doc:"Spans of what happens to events, for an OpenTelemetry collector; without it none are made."`
	Log          Log           `yaml:"log" doc:"The server's own log."`
	Destinations []Destination `yaml:"destinations" required:"true" max:"1000" doc:"List of the places that events go to; [] for a server that only accepts."`

	warnings []*Fault // what fails at each use, see Warner
	missing  []*Fault // what Checks.Partly left out
}

// RequestMemory is the part of Memory that is for requests.
func (c *Config) RequestMemory() int64 { return int64(c.Memory / 2) }

// DeliveryMemory is the part of Memory that is for what destinations have read. An
// eighth is for what the broker holds of the same events while it stores and reads them.
func (c *Config) DeliveryMemory() int64 { return int64(c.Memory) * 3 / 8 }

// leastMemory is what the largest request takes, and as much for deliveries.
func (c *Config) leastMemory() ByteSize { return ByteSize(2 * budget.Least(c.HTTP.requests())) }

// HTTP is how events are accepted.
type HTTP struct {
	Addr            string        `yaml:"addr" default:"127.0.0.1:8080" doc:"Address to listen on, host:port; :8080 listens on every interface."`
	MaxEventBytes   ByteSize      `yaml:"max_event_bytes" default:"1MiB" min:"1" doc:"Largest event."`
	MaxBatchBytes   ByteSize      `yaml:"max_batch_bytes" default:"8MiB" min:"1" doc:"Largest request, after decompression."`
	MaxBatchEvents  int           `yaml:"max_batch_events" default:"500" min:"1" doc:"Most events in one request."`
	MaxInFlight     int           `yaml:"max_in_flight" default:"1024" min:"1" doc:"Most requests at once, their bodies read; more are answered 429."`
	PublishTimeout  time.Duration `yaml:"publish_timeout" default:"5s" min:"1ms" doc:"Longest wait for the broker to store an event; then the request is answered 503 and may be sent again."`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" default:"30s" min:"1ms" doc:"Longest wait for requests and deliveries in progress when the server stops."`
	ReadTimeout     time.Duration `yaml:"read_timeout" default:"30s" min:"1ms" doc:"Longest time a client may take to send a request."`
	MetadataHeaders []string      `yaml:"metadata_headers" max:"32" doc:"Headers of a request that go with its events, through the topics and to the receivers, beside traceparent, tracestate and x-request-id. Any client can set them: name what your proxy sets. A header that is given several times goes on as one list, a, b; one longer than 1KiB does not go on."`
	Keys            []APIKey      `yaml:"keys" doc:"Keys that clients may use; without any, everyone may send."`
}

// APIKey is a client's key, known by its digest only.
type APIKey struct {
	Name string `yaml:"name" required:"true" doc:"Name of the client in logs and metrics; letters, digits and . _ - only."`
	// SHA256 holds lower-case hex digests, 64 characters each.
	SHA256 []string `yaml:"sha256" required:"true" min:"1" max:"2" secret:"true" doc:"SHA-256 digests of the key in hex; two while a key is changed, the current and the next."`
}

// Metrics is who may read the metrics.
type Metrics struct {
	Addr   string   `yaml:"addr" default:"" doc:"Address of a listener for /metrics alone, host:port. Without it /metrics is on http.addr."`
	Tokens []APIKey `yaml:"tokens" doc:"Tokens that Prometheus may use (authorization: {credentials_file: ...}); without any, everyone who reaches the address may read the metrics."`
}

// AdminOff is the Admin.Addr of a server that operators cannot reach.
const AdminOff = "off"

// Admin is the API of operators. It has a listener of its own, so that whoever
// may send events cannot steer.
type Admin struct {
	// Addr is host:port or AdminOff; Load fills the default in.
	Addr   string       `yaml:"addr" default:"" doc:"Address to listen on, host:port, or off for no admin API. Other machines may reach it with tokens only. Default: 127.0.0.1 and the port after that of http.addr."`
	Tokens []AdminToken `yaml:"tokens" doc:"Tokens of operators; without any, every user of this machine may read and write."`
}

// AdminToken is an operator's token, known by its digest only.
type AdminToken struct {
	Name string `yaml:"name" required:"true" doc:"Name of the operator in the log; letters, digits and . _ - only."`
	Role string `yaml:"role" required:"true" oneof:"read write" doc:"What it may do; read: look; write: also change, and see payloads."`
	// SHA256 holds lower-case hex digests, 64 characters each.
	SHA256 []string `yaml:"sha256" required:"true" min:"1" max:"2" secret:"true" doc:"SHA-256 digests of the token in hex; two while a token is changed, the current and the next."`
}

// Broker is where events are stored.
type Broker struct {
	Kind           string            `yaml:"kind" default:"embedded" oneof:"embedded memory kafka" doc:"embedded: in this process, on disk; memory: in this process, lost when it ends; kafka: a Kafka cluster."`
	Dir            string            `yaml:"dir" default:"./data" doc:"Directory of the embedded broker."`
	Sync           bool              `yaml:"sync" default:"true" doc:"Embedded: write to the disk itself before a request is answered. With false, a power failure can lose accepted events; kill -9 cannot."`
	TrimAge        time.Duration     `yaml:"trim_age" default:"1h" min:"1s" doc:"Embedded and memory: how long events stay after every destination has them; in memory at most 1m."`
	Brokers        []string          `yaml:"brokers" doc:"Kafka: addresses to start from, host:port. Required for kafka, refused elsewhere."`
	TopicPrefix    string            `yaml:"topic_prefix" default:"" doc:"Kafka: put before every topic and consumer group name; letters, digits and . _ - only."`
	Topics         map[string]string `yaml:"topics" doc:"Kafka: other names for topics: the server's name -> the real name, without the prefix."`
	Partitions     int32             `yaml:"partitions" default:"8" min:"1" max:"10000" doc:"Partitions of topics that the server makes."`
	Replication    int16             `yaml:"replication" default:"1" min:"1" doc:"Kafka: copies of topics that the server makes; 3 for production."`
	Retention      time.Duration     `yaml:"retention" default:"168h" min:"0" doc:"Kafka: how long topics that the server makes keep events; 0 for ever. Longer than every retry.max_age."`
	InstanceID     string            `yaml:"instance_id" default:"" doc:"Name of this process among those that share the work; each needs its own, and the same again after a restart. Default: the host name with kafka, otherwise eventserver."`
	Owners         string            `yaml:"owners" default:"" doc:"Kafka: name of the work that processes share. Those that have the same destinations have the same name; programs with other destinations on the same topics need another one. Default: owners, and handlers in a program of handlers alone (typed.Start)."`
	TLS            TLS               `yaml:"tls" doc:"Kafka: encryption."`
	SASL           *SASL             `yaml:"sasl" doc:"Kafka: authentication; none without it."`
	SessionTimeout time.Duration     `yaml:"session_timeout" default:"10s" min:"1s" doc:"Kafka: how long a silent process keeps its partitions. By default a cluster refuses less than 6s."`
	Rebalance      string            `yaml:"rebalance" default:"cooperative" oneof:"eager cooperative" doc:"Kafka: what happens when a process joins or leaves; eager: all give their partitions back for a moment; cooperative: only those that move. The same for all processes."`
	WindowMessages int               `yaml:"window_messages" default:"1000" min:"1" doc:"Most unfinished events of one partition held in memory, for each destination. Beyond it reading waits."`
	WindowKey      int               `yaml:"window_key" default:"0" min:"0" doc:"Most of them with one key; those that follow stay in the broker until it is their turn, and other keys go on. 0, the default, is a sixteenth of window_messages."`
	WindowSpan     int               `yaml:"window_span" default:"1000000" min:"1" doc:"Most events of a partition from the oldest unfinished one to the last one read."`
	Settings       *Settings         `yaml:"-"` // the keys of a kind that is not built in; nil of one that is
}

// TLS is the encryption of connections to Kafka.
type TLS struct {
	Enabled            bool   `yaml:"enabled" default:"false" doc:"Encrypt."`
	CAFile             string `yaml:"ca_file" doc:"PEM file of the authorities to trust; the system's without it."`
	CertFile           string `yaml:"cert_file" doc:"PEM file of the client certificate."`
	KeyFile            string `yaml:"key_file" doc:"PEM file of its key."`
	ServerName         string `yaml:"server_name" doc:"Name that the certificate must have; the address's host without it."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" default:"false" doc:"Accept any certificate. For tests only."`
}

// SASL is the authentication to Kafka.
type SASL struct {
	Mechanism    string              `yaml:"mechanism" required:"true" oneof:"PLAIN SCRAM-SHA-256 SCRAM-SHA-512 OAUTHBEARER AWS_MSK_IAM" doc:"How to authenticate."`
	User         string              `yaml:"user" doc:"PLAIN and SCRAM, required there: user name."`
	Password     destinations.Secret `yaml:"password" doc:"PLAIN and SCRAM, required there: password of the user."`
	TokenURL     string              `yaml:"token_url" doc:"OAUTHBEARER, required there: where an OpenID Connect provider gives tokens for client credentials."`
	ClientID     string              `yaml:"client_id" doc:"OAUTHBEARER, required there: client id."`
	ClientSecret destinations.Secret `yaml:"client_secret" doc:"OAUTHBEARER, required there: secret of the client."`
	Scopes       []string            `yaml:"scopes" doc:"OAUTHBEARER: scopes to ask for."`
	Audience     string              `yaml:"audience" doc:"OAUTHBEARER: audience to ask for."`
	Extensions   map[string]string   `yaml:"extensions" doc:"OAUTHBEARER: extensions that the cluster wants, such as logicalCluster."`
	AccessKey    string              `yaml:"access_key" doc:"AWS_MSK_IAM: access key id. Without it the credentials of the environment are taken: its variables, the shared files, the role of the pod, the task or the machine."`
	SecretKey    destinations.Secret `yaml:"secret_key" doc:"AWS_MSK_IAM, required with access_key: secret access key."`
	SessionToken destinations.Secret `yaml:"session_token" doc:"AWS_MSK_IAM: token of temporary credentials."`
}

// Schemas says what events must look like.
type Schemas struct {
	Dir     string            `yaml:"dir" default:"./schemas" doc:"Directory of the schemas, one YAML file for each type of event."`
	Mode    string            `yaml:"mode" default:"enforce" oneof:"enforce warn off" doc:"What happens to an event that breaks its schema; enforce: it is refused, or goes to the poison queue; warn: it is counted and marked; off: nobody looks."`
	Unknown string            `yaml:"unknown" default:"allow" oneof:"allow reject" doc:"Events whose type has no schema, or that have no type."`
	MaxCost int               `yaml:"max_cost" default:"4000000" min:"10000" max:"1000000000" doc:"Most steps of the check of one event (docs/schemas.md has what takes how many). The events of one request may take ten times as many together. What takes more is refused by the rule schema.cost."`
	Types   map[string]string `yaml:"types" doc:"Other modes for single types: type -> enforce, warn or off."`
}

// Log is the server's own log.
type Log struct {
	Level  string `yaml:"level" default:"info" oneof:"debug info warn error" doc:"Least level to write."`
	Format string `yaml:"format" default:"text" oneof:"text json" doc:"Form of a line."`
}

// Destination is one place that events go to. Flat beside these keys stand
// those of its kind, in Settings.
type Destination struct {
	ID          string        `yaml:"id" required:"true" doc:"Name in topics, metrics and the poison queue; lower-case letters, digits and -, at most 64, unique. Never change it: a new id is a new destination."`
	Kind        string        `yaml:"kind" required:"true" doc:"What it is, such as webhook; its own keys stand beside these."`
	From        string        `yaml:"from" default:"oldest" doc:"Where a new destination begins, once, at its first start: oldest (all events that are kept), now, or a time such as 2026-11-25T10:00:00Z. Later starts and reloads go on where it was."`
	Types       []string      `yaml:"types" min:"1" doc:"Types of events to send: exact, order.* for all that start with order., or *. Without it: every event."`
	Filter      string        `yaml:"filter" doc:"CEL expression (expressions.md, with limits that follow http.max_event_bytes); events for which it is false are not sent."`
	Transform   string        `yaml:"transform" doc:"CEL expression (expressions.md) that makes the payload; without it the event's own bytes are sent."`
	Schema      string        `yaml:"schema" doc:"Type whose schema the payload must meet, after the transformation. Needs schemas."`
	Timeout     time.Duration `yaml:"timeout" default:"10s" min:"1ms" doc:"Longest time of one attempt, and of the transformation of one event."`
	Concurrency int           `yaml:"concurrency" default:"64" min:"1" doc:"Most attempts at once."`
	Batch       *Batch        `yaml:"batch" doc:"Several deliveries in one attempt, those of a key in order. For kinds that can: webhook and file. With it the body of a webhook is always an array, also of one; without it, never."`
	RateLimit   RateLimit     `yaml:"rate_limit" doc:"Most attempts a second; with batches, most events."`
	Retry       Retry         `yaml:"retry" doc:"What happens after a failed attempt."`
	Breaker     Breaker       `yaml:"breaker" doc:"Pause for a destination that is down."`
	FloodGuard  int           `yaml:"flood_guard" default:"20" min:"0" doc:"Users in a row whose events the destination refuses for good (4xx), with no success between them, until it is held: no more of them go to the poison queue until one succeeds, or somebody resumes it. The same of users in a row whose events fail its schema, filter or transformation. 0: it is never held."`
	OnExhausted string        `yaml:"on_exhausted" default:"skip" oneof:"skip" doc:"What follows a delivery that was given up; skip: it goes to the poison queue and the next event of its key is sent."`
	Settings    *Settings     `yaml:"-"` // the keys of the kind
}

// Batch lets a destination take several deliveries in one attempt.
type Batch struct {
	MaxEvents int           `yaml:"max_events" default:"1" min:"1" max:"1000" doc:"Most deliveries of one attempt."`
	MaxWait   time.Duration `yaml:"max_wait" default:"5ms" min:"1ms" max:"10s" doc:"Longest wait for more to come after the first."`
	MaxBytes  ByteSize      `yaml:"max_bytes" default:"1MiB" min:"1" doc:"Most bytes of their payloads together."`
}

// RateLimit bounds the attempts a second.
type RateLimit struct {
	PerSecond float64 `yaml:"per_second" default:"0" min:"0" doc:"Attempts a second on average; 0 for no limit."`
	Burst     int     `yaml:"burst" default:"0" min:"0" doc:"Attempts at once after a pause. Default: per_second, at least 1."`
}

// Retry says when a failed delivery is tried again and when it is given up.
type Retry struct {
	Initial  time.Duration `yaml:"initial" default:"500ms" min:"1ms" doc:"Wait before the second attempt; each later wait is longer."`
	Max      time.Duration `yaml:"max" default:"30s" min:"1ms" doc:"Longest wait between two attempts."`
	Attempts int           `yaml:"attempts" default:"10" min:"1" doc:"Attempts before a delivery goes to the poison queue."`
	MaxAge   time.Duration `yaml:"max_age" default:"10m" min:"1ms" doc:"Longest time that the attempts of an event and its backoffs may take together until it goes to the poison queue. Waiting for a slot, the rate limit, the breaker, a pause or the broker does not count."`
}

// Breaker pauses a destination that is down instead of using up the attempts
// of each event.
type Breaker struct {
	Failures int           `yaml:"failures" default:"20" min:"1" doc:"Keys that fail in a row, with no success between them, until a pause starts. A destination that says it is unavailable (429, 502, 503, 504, 520 to 530, refused) pauses sooner."`
	Initial  time.Duration `yaml:"initial" default:"1s" min:"1ms" doc:"First pause; each later one is longer."`
	Max      time.Duration `yaml:"max" default:"1m" min:"1ms" doc:"Longest pause."`
}
