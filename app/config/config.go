package config

import (
	"time"

	"eventserver/app/config/strict"
	"eventserver/app/ingest/budget"
	"eventserver/destinations"
)

// Config is the whole file. Every field has its effective value: defaults are
// filled in by Load, Parse and Default.
type Config struct {
	HTTP         HTTP            `yaml:"http" doc:"How clients post events."`
	Metrics      Metrics         `yaml:"metrics" doc:"Who may read the metrics."`
	Admin        Admin           `yaml:"admin" doc:"The API of operators."`
	Broker       Broker          `yaml:"broker" doc:"Where events are stored until every destination has them."`
	Ordering     string          `yaml:"ordering" default:"key" oneof:"key partition" doc:"What stays in order. key: the events of one key; a slow user does not hold up other users. partition: all events of a partition, one at a time."`
	Memory       strict.ByteSize `yaml:"memory" default:"0" min:"0" doc:"Maximum memory for unfinished events. One half is for requests (heads, bodies, decompressors, decoded events): a quarter of it for connections (16KiB each), a quarter for requests of up to 128KiB. Requests beyond it are answered 429, one that would not fit alone 413. Three eighths are for events that destinations have read and not delivered: the largest holder stops reading first, and the rest stays in the broker. An eighth is for the broker's own copies. 0, the default, is 256MiB, or more where http.max_batch_bytes and http.max_event_bytes need it."`
	Schemas      *Schemas        `yaml:"schemas" doc:"Schemas of event types. Without this section events are not validated."`
	Traces       *Traces         `yaml:"traces" doc:"Traces of events, sent to an OpenTelemetry collector. Without this section no spans are made."`
	Log          Log             `yaml:"log" doc:"The server's own log."`
	Destinations []Destination   `yaml:"destinations" required:"true" max:"1000" doc:"List of destinations; [] for a server that only accepts."`

	warnings []*strict.Fault // what fails at each use, see Warner
	missing  []*strict.Fault // what Checks.Partly left out
}

// RequestMemory is the part of Memory that is for requests.
func (c *Config) RequestMemory() int64 { return int64(c.Memory / 2) }

// DeliveryMemory is the part of Memory that is for what destinations have read. An
// eighth is for what the broker holds of the same events while it stores and reads them.
func (c *Config) DeliveryMemory() int64 { return int64(c.Memory) * 3 / 8 }

// leastMemory is what the largest request takes, and as much for deliveries.
func (c *Config) leastMemory() strict.ByteSize {
	return strict.ByteSize(2 * budget.Least(c.HTTP.requests()))
}

// HTTP is how events are accepted.
type HTTP struct {
	Addr            string          `yaml:"addr" default:"127.0.0.1:8080" doc:"Address to listen on, host:port; :8080 listens on every interface."`
	MaxEventBytes   strict.ByteSize `yaml:"max_event_bytes" default:"1MiB" min:"1" doc:"Maximum size of an event."`
	MaxBatchBytes   strict.ByteSize `yaml:"max_batch_bytes" default:"8MiB" min:"1" doc:"Maximum size of a request, after decompression."`
	MaxBatchEvents  int             `yaml:"max_batch_events" default:"500" min:"1" doc:"Maximum number of events in a request."`
	MaxInFlight     int             `yaml:"max_in_flight" default:"1024" min:"1" doc:"Maximum number of requests at once, counted when their bodies are read. Others are answered 429."`
	PublishTimeout  time.Duration   `yaml:"publish_timeout" default:"5s" min:"1ms" doc:"Maximum wait for the broker to store an event. Then the request is answered 503, and can be sent again."`
	ShutdownTimeout time.Duration   `yaml:"shutdown_timeout" default:"30s" min:"1ms" doc:"Maximum wait for running requests and deliveries when the server stops."`
	ReadTimeout     time.Duration   `yaml:"read_timeout" default:"30s" min:"1ms" doc:"Maximum time for a client to send a request."`
	MetadataHeaders []string        `yaml:"metadata_headers" max:"32" doc:"Request headers that travel with the events to the receivers, besides traceparent, tracestate and x-request-id. Any client can set them: name headers that your proxy sets. A header with several values becomes one list, a, b. A value longer than 1KiB is dropped."`
	Keys            []APIKey        `yaml:"keys" doc:"API keys of clients. Without keys everyone may send."`
}

// APIKey is a client's key, known by its digest only.
type APIKey struct {
	Name string `yaml:"name" required:"true" doc:"Name of the client in logs and metrics; letters, digits and . _ - only."`
	// SHA256 holds lower-case hex digests, 64 characters each.
	SHA256 []string `yaml:"sha256" required:"true" min:"1" max:"2" secret:"true" doc:"SHA-256 digests of the key in hex. Give two while a key is replaced: the current and the next."`
}

// Metrics is who may read the metrics.
type Metrics struct {
	Addr   string   `yaml:"addr" default:"" doc:"Address of a separate listener for /metrics, host:port. Without it /metrics is on http.addr."`
	Tokens []APIKey `yaml:"tokens" doc:"Tokens for Prometheus (authorization: {credentials_file: ...}). Without tokens everyone who reaches the address may read the metrics."`
}

// AdminOff is the Admin.Addr of a server that operators cannot reach.
const AdminOff = "off"

// Admin is the API of operators. It has a listener of its own, so that whoever
// may send events cannot steer.
type Admin struct {
	// Addr is host:port or AdminOff; Load fills the default in.
	Addr   string       `yaml:"addr" default:"" doc:"Address to listen on, host:port, or off for no admin API. An address that other machines can reach needs tokens. Default: 127.0.0.1 and the port after that of http.addr."`
	Tokens []AdminToken `yaml:"tokens" doc:"Tokens of operators. Without tokens every user of this machine may read and write."`
}

// AdminToken is an operator's token, known by its digest only.
type AdminToken struct {
	Name string `yaml:"name" required:"true" doc:"Name of the operator in the log; letters, digits and . _ - only."`
	Role string `yaml:"role" required:"true" oneof:"read write" doc:"Rights of the token; read: see everything except payloads; write: also change things and see payloads."`
	// SHA256 holds lower-case hex digests, 64 characters each.
	SHA256 []string `yaml:"sha256" required:"true" min:"1" max:"2" secret:"true" doc:"SHA-256 digests of the token in hex. Give two while a token is replaced: the current and the next."`
}

// Broker is where events are stored.
type Broker struct {
	Kind           string            `yaml:"kind" default:"embedded" oneof:"embedded memory kafka" doc:"embedded: in this process, on disk. memory: in this process, lost when it ends. kafka: a Kafka cluster."`
	Dir            string            `yaml:"dir" default:"./data" doc:"Directory of the embedded broker."`
	Sync           bool              `yaml:"sync" default:"true" doc:"Embedded: fsync before a request is answered. With false a power failure can lose accepted events; kill -9 cannot."`
	TrimAge        time.Duration     `yaml:"trim_age" default:"1h" min:"1s" doc:"Embedded and memory: how long events are kept after every destination has them; in memory at most 1m."`
	Brokers        []string          `yaml:"brokers" doc:"Kafka: bootstrap servers, host:port. Required for kafka, refused for other kinds."`
	TopicPrefix    string            `yaml:"topic_prefix" default:"" doc:"Kafka: prefix of every topic and consumer group; letters, digits and . _ - only."`
	Topics         map[string]string `yaml:"topics" doc:"Kafka: other names of topics: the server's name -> the name on the cluster, without the prefix."`
	Partitions     int32             `yaml:"partitions" default:"8" min:"1" max:"10000" doc:"Number of partitions of topics that the server creates."`
	Replication    int16             `yaml:"replication" default:"1" min:"1" doc:"Kafka: replication factor of topics that the server creates; 3 for production."`
	Retention      time.Duration     `yaml:"retention" default:"168h" min:"0" doc:"Kafka: retention of topics that the server creates; 0 for ever. It must be longer than every retry.max_age."`
	InstanceID     string            `yaml:"instance_id" default:"" doc:"Name of this process among those that share the work. Each process needs its own, and the same one after a restart. Default: the host name with kafka, otherwise eventserver."`
	Owners         string            `yaml:"owners" default:"" doc:"Kafka: name of the group of processes that share the work. Processes with the same destinations have the same name. Programs with other destinations on the same topics need another name. Default: owners, and handlers in a program of handlers alone (typed.Start)."`
	TLS            TLS               `yaml:"tls" doc:"Kafka: encryption."`
	SASL           *SASL             `yaml:"sasl" doc:"Kafka: authentication. Without this section there is none."`
	SessionTimeout time.Duration     `yaml:"session_timeout" default:"10s" min:"1s" doc:"Kafka: session timeout. A process that is silent for longer loses its partitions. By default a cluster refuses less than 6s."`
	Rebalance      string            `yaml:"rebalance" default:"cooperative" oneof:"eager cooperative" doc:"Kafka: rebalance protocol. eager: all processes give all partitions back for a moment. cooperative: only moved partitions are given back. The same for all processes."`
	WindowMessages int               `yaml:"window_messages" default:"1000" min:"1" doc:"Maximum number of unfinished events of one partition in memory, per destination. Beyond it reading waits."`
	WindowKey      int               `yaml:"window_key" default:"0" min:"0" doc:"Maximum held in memory per key. The rest stay in the broker, and other keys continue. 0, the default, is a sixteenth of window_messages."`
	WindowSpan     int               `yaml:"window_span" default:"1000000" min:"1" doc:"Maximum distance, in events of a partition, from the oldest unfinished event to the last one read."`
	Settings       *Settings         `yaml:"-"` // the keys of a kind that is not built in; nil of one that is
}

// TLS is the encryption of connections to Kafka.
type TLS struct {
	Enabled            bool   `yaml:"enabled" default:"false" doc:"Use TLS."`
	CAFile             string `yaml:"ca_file" doc:"PEM file of the certificate authorities to trust instead of the system's."`
	CertFile           string `yaml:"cert_file" doc:"PEM file of the client certificate."`
	KeyFile            string `yaml:"key_file" doc:"PEM file of its key."`
	ServerName         string `yaml:"server_name" doc:"Name in the broker's certificate, where it is not the host of the address."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" default:"false" doc:"Trust any certificate. For tests only."`
}

// SASL is the authentication to Kafka.
type SASL struct {
	Mechanism    string              `yaml:"mechanism" required:"true" oneof:"PLAIN SCRAM-SHA-256 SCRAM-SHA-512 OAUTHBEARER AWS_MSK_IAM" doc:"SASL mechanism."`
	User         string              `yaml:"user" doc:"PLAIN and SCRAM (required): user name."`
	Password     destinations.Secret `yaml:"password" doc:"PLAIN and SCRAM (required): password."`
	TokenURL     string              `yaml:"token_url" doc:"OAUTHBEARER (required): token endpoint of the OpenID Connect provider, for client credentials."`
	ClientID     string              `yaml:"client_id" doc:"OAUTHBEARER (required): client id."`
	ClientSecret destinations.Secret `yaml:"client_secret" doc:"OAUTHBEARER (required): client secret."`
	Scopes       []string            `yaml:"scopes" doc:"OAUTHBEARER: scopes to request."`
	Audience     string              `yaml:"audience" doc:"OAUTHBEARER: audience to request."`
	Extensions   map[string]string   `yaml:"extensions" doc:"OAUTHBEARER: extensions that the cluster requires, such as logicalCluster."`
	AccessKey    string              `yaml:"access_key" doc:"AWS_MSK_IAM: access key id. Without it the credentials come from the environment: variables, shared files, the role of the pod, task or machine."`
	SecretKey    destinations.Secret `yaml:"secret_key" doc:"AWS_MSK_IAM (required with access_key): secret access key."`
	SessionToken destinations.Secret `yaml:"session_token" doc:"AWS_MSK_IAM: session token of temporary credentials."`
}

// Schemas says what events must look like.
type Schemas struct {
	Dir     string            `yaml:"dir" default:"./schemas" doc:"Directory of the schemas, one YAML file per event type."`
	Mode    string            `yaml:"mode" default:"enforce" oneof:"enforce warn off" doc:"What happens to an event that breaks its schema. enforce: it is refused, or goes to the poison queue. warn: it is counted and marked. off: nothing is validated."`
	Unknown string            `yaml:"unknown" default:"allow" oneof:"allow reject" doc:"What happens to events without a type, or with a type that has no schema."`
	MaxCost int               `yaml:"max_cost" default:"4000000" min:"10000" max:"1000000000" doc:"Maximum number of steps of one event's validation (docs/schemas.md has the costs). The events of one request may take ten times as many together. An event that takes more is refused by the rule schema.cost."`
	Types   map[string]string `yaml:"types" doc:"Modes of single types: type -> enforce, warn or off."`
}

// Log is the server's own log.
type Log struct {
	Level  string `yaml:"level" default:"info" oneof:"debug info warn error" doc:"Minimum level of a line."`
	Format string `yaml:"format" default:"text" oneof:"text json" doc:"Format of a line."`
}

// Destination is one place that events go to. Flat beside these keys stand
// those of its kind, in Settings.
type Destination struct {
	ID          string        `yaml:"id" required:"true" doc:"Name in topics, metrics and the poison queue; unique; lower-case letters, digits and -, at most 64. Never change it: a new id is a new destination."`
	Kind        string        `yaml:"kind" required:"true" doc:"Kind of the destination, such as webhook. The kind's own keys stand beside these."`
	From        string        `yaml:"from" default:"oldest" doc:"Where a new destination begins at its first start: oldest (all events that are kept), now, or a time such as 2026-11-25T10:00:00Z. Later starts and reloads continue where it was."`
	Types       []string      `yaml:"types" min:"1" doc:"Event types to send: exact, order.* for all that start with order., or *. Without it: every event."`
	Filter      string        `yaml:"filter" doc:"CEL expression (expressions.md; its limits follow http.max_event_bytes). Events for which it is false are not sent."`
	Transform   string        `yaml:"transform" doc:"CEL expression (expressions.md) that makes the payload. Without it the event's own bytes are sent."`
	Schema      string        `yaml:"schema" doc:"Event type whose schema the payload must satisfy, after the transformation. Needs schemas."`
	Timeout     time.Duration `yaml:"timeout" default:"10s" min:"1ms" doc:"Maximum time of one attempt, and of the transformation of one event."`
	Concurrency int           `yaml:"concurrency" default:"64" min:"1" doc:"Maximum number of attempts at once."`
	Batch       *Batch        `yaml:"batch" doc:"Several deliveries in one attempt; those of a key are in order. For the kinds webhook and file. With it the body of a webhook is always an array, also of one delivery; without it, never."`
	RateLimit   RateLimit     `yaml:"rate_limit" doc:"Maximum number of attempts per second; with batches, of events."`
	Retry       Retry         `yaml:"retry" doc:"What happens after a failed attempt."`
	Breaker     Breaker       `yaml:"breaker" doc:"Circuit breaker: pauses a destination that is down."`
	FloodGuard  int           `yaml:"flood_guard" default:"20" min:"0" doc:"Number of users in a row whose events fail permanently (4xx), without a success between them, until the destination is held. While it is held no events go to the poison queue, until one succeeds or an operator resumes it. The same number holds for failures of its schema, filter or transformation. 0: it is never held."`
	OnExhausted string        `yaml:"on_exhausted" default:"skip" oneof:"skip" doc:"What happens after a delivery is given up. skip: the delivery goes to the poison queue, and the next event of its key is sent."`
	Settings    *Settings     `yaml:"-"` // the keys of the kind
}

// Batch lets a destination take several deliveries in one attempt.
type Batch struct {
	MaxEvents int             `yaml:"max_events" default:"1" min:"1" max:"1000" doc:"Maximum number of deliveries in an attempt."`
	MaxWait   time.Duration   `yaml:"max_wait" default:"5ms" min:"1ms" max:"10s" doc:"Maximum wait for more deliveries after the first."`
	MaxBytes  strict.ByteSize `yaml:"max_bytes" default:"1MiB" min:"1" doc:"Maximum size of all payloads together."`
}

// RateLimit bounds the attempts a second.
type RateLimit struct {
	PerSecond float64 `yaml:"per_second" default:"0" min:"0" doc:"Average attempts per second; 0 for no limit."`
	Burst     int     `yaml:"burst" default:"0" min:"0" doc:"Maximum number of attempts at once after a quiet time. Default: per_second, at least 1."`
}

// Retry says when a failed delivery is tried again and when it is given up.
type Retry struct {
	Initial  time.Duration `yaml:"initial" default:"500ms" min:"1ms" doc:"Backoff before the second attempt. Each later backoff is longer."`
	Max      time.Duration `yaml:"max" default:"30s" min:"1ms" doc:"Maximum backoff between two attempts."`
	Attempts int           `yaml:"attempts" default:"10" min:"1" doc:"Attempts before a delivery goes to the poison queue."`
	MaxAge   time.Duration `yaml:"max_age" default:"10m" min:"1ms" doc:"Maximum time of the attempts and backoffs of a delivery together. Then it goes to the poison queue. Waiting for a slot, the rate limit, the breaker, a pause or the broker does not count."`
}

// Breaker pauses a destination that is down instead of using up the attempts
// of each event.
type Breaker struct {
	Failures int           `yaml:"failures" default:"20" min:"1" doc:"Number of keys that fail in a row, without a success between them, until a pause begins. An unavailable destination (429, 502, 503, 504, 520 to 530, refused) pauses sooner."`
	Initial  time.Duration `yaml:"initial" default:"1s" min:"1ms" doc:"First pause. Each later pause is longer."`
	Max      time.Duration `yaml:"max" default:"1m" min:"1ms" doc:"Maximum pause."`
}
