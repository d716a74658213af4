package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Config has the connection to a cluster, and the settings of created topics.
type Config struct {
	Brokers  []string // host:port; required
	ClientID string   // default "eventserver"
	// InstanceID makes the membership static: a killed process that restarts with the
	// same id has its partitions back at once. It must differ between processes. Empty:
	// a dynamic member.
	InstanceID string

	TopicPrefix string            // prefix of every topic and group name
	TopicNames  map[string]string // logical name -> real name, without prefix
	Partitions  int32             // of topics to create; default 8
	Replication int16             // of topics to create; default 1
	Retention   time.Duration     // of topics to create; 0 and below: for ever

	// Shards is the logical name of the topic whose partitions are shared among the
	// processes; default "events". The owner of its partition p, of P, owns every
	// partition q with q mod P = p of every topic.
	Shards string

	// Owners names the group of processes that share the work: processes with the same
	// groups have the same name. Default "owners".
	Owners string

	MaxMessageBytes int // maximum size of a record with headers; default 16 MiB

	TLS  *tls.Config // nil: plain text
	SASL *SASL       // nil: no authentication

	SessionTimeout time.Duration // default 10 s
	CommitInterval time.Duration // minimum time between two commits of a group; default 10 ms
	// Eager rebalances take every partition back for a moment. Otherwise only moved
	// partitions are taken back. All processes need the same setting.
	Eager bool

	Logger   *slog.Logger // default: discard
	Observer Observer     // default: none
	// Fatal is called when the process cannot continue because another one took its
	// InstanceID. By default this is only logged.
	Fatal func(error)
}

var instanceRE = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,100}$`)

func (c Config) withDefaults() (Config, error) {
	def(&c.ClientID, "eventserver")
	def(&c.Partitions, 8)
	def(&c.Replication, 1)
	def(&c.Shards, "events")
	def(&c.Owners, "owners")
	def(&c.MaxMessageBytes, 16<<20)
	def(&c.SessionTimeout, 10*time.Second)
	def(&c.CommitInterval, 10*time.Millisecond)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = noObserver{}
	}
	if c.Fatal == nil {
		c.Fatal = func(error) {}
	}
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("brokers: at least one host:port is needed"))
	}
	if c.InstanceID != "" && !instanceRE.MatchString(c.InstanceID) {
		errs = append(errs, fmt.Errorf("instance_id: %q has characters other than a-z A-Z 0-9 . _ - or is longer than 100", c.InstanceID))
	}
	if !instanceRE.MatchString(c.Owners) {
		errs = append(errs, fmt.Errorf("owners: %q has characters other than a-z A-Z 0-9 . _ - or is longer than 100", c.Owners))
	}
	if c.Partitions < 1 || c.Replication < 1 {
		errs = append(errs, errors.New("partitions and replication: at least 1"))
	}
	if c.MaxMessageBytes < 0 || c.SessionTimeout < 0 || c.CommitInterval < 0 {
		errs = append(errs, errors.New("a size or a time is negative"))
	}
	if c.SASL != nil {
		errs = append(errs, c.SASL.check())
	}
	return c, errors.Join(errs...)
}

func def[T comparable](v *T, d T) {
	if *v == *new(T) {
		*v = d
	}
}

// Topic is the real name of a logical topic.
func (c *Config) Topic(logical string) string {
	if real, ok := c.TopicNames[logical]; ok {
		logical = real
	}
	return c.TopicPrefix + logical
}

// Logical is the name that everybody else knows a real topic by.
func (c *Config) Logical(real string) string {
	name := real[min(len(c.TopicPrefix), len(real)):]
	for logical, other := range c.TopicNames {
		if other == name {
			return logical
		}
	}
	return name
}

// Group is the real name of a logical consumer group.
func (c *Config) Group(logical string) string { return c.TopicPrefix + logical }

// owners is the consumer group in which the processes share the shards.
func (c *Config) owners() string { return c.TopicPrefix + ownersPrefix + c.Owners }

const ownersPrefix = "eventserver."

const (
	dialTimeout    = 3 * time.Second
	answerTimeout  = 5 * time.Second // beyond the wait of the request itself
	retryTimeout   = 10 * time.Second
	produceTimeout = 4 * time.Second  // of one request
	recordTimeout  = 12 * time.Second // of a record with all its tries
	// overhead is how much larger a batch of one record is than the record.
	overhead = 64 << 10
)

// client are the options that all our clients share.
func (c *Config) client(name string) []kgo.Opt {
	newest := kversion.Stable()
	// Commits name their topics: those of version 10 have ids, which a group's
	// progress would have to be looked up by.
	newest.SetMaxKeyVersion(8, 9)
	newest.SetMaxKeyVersion(9, 9)
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID(c.ClientID), kgo.MaxVersions(newest),
		kgo.DialTimeout(dialTimeout), kgo.RequestTimeoutOverhead(answerTimeout), kgo.RetryTimeout(retryTimeout),
		kgo.RetryBackoffFn(func(tries int) time.Duration { return min(50*time.Millisecond<<min(tries, 4), 400*time.Millisecond) }),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.WithLogger(clientLog{c.Logger}), kgo.WithHooks(clientHooks{name, c.Observer}), kgo.DisableClientMetrics(),
	}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS.Clone()))
	}
	if c.SASL != nil {
		opts = append(opts, kgo.SASL(c.SASL.mechanism()))
	}
	return opts
}

// producing are the options of the producing client. It stores records once, in the order
// of the calls, in the given partitions. A broker gets one request at a time. Records that
// come meanwhile go into the next one, so a busy Kafka gets fewer requests.
func (c *Config) producing() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.MaxProduceRequestsInflightPerBroker(1),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(int32(c.MaxMessageBytes + overhead)),
		kgo.ProduceRequestTimeout(produceTimeout), kgo.RecordDeliveryTimeout(recordTimeout),
		kgo.AllowIdempotentProduceCancellation(), // a caller waits at most recordTimeout
		kgo.UnknownTopicRetries(2), kgo.MaxBufferedRecords(100_000),
	}
}

// clientLog passes on what a client says of its trouble.
type clientLog struct{ to *slog.Logger }

// Level implements kgo.Logger.
func (clientLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log implements kgo.Logger. It is for those who look for a fault: what matters of it
// is told by us.
func (l clientLog) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	l.to.Debug("kafka client", append([]any{slog.String("message", msg)}, keyvals...)...)
}
