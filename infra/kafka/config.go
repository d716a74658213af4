package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
)

// Config says how to reach a cluster and how topics are made.
type Config struct {
	Brokers  []string // host:port; required
	ClientID string   // default "eventserver"
	// InstanceID makes the group membership static: a process that is killed
	// and restarted with the same id gets its partitions back at once. It
	// must differ between processes. Empty: dynamic membership.
	InstanceID string

	TopicPrefix string            // put before every topic and group name
	TopicNames  map[string]string // logical name -> real name, without prefix
	Partitions  int32             // of topics to create; default 8
	Replication int16             // of topics to create; default 1
	Retention   time.Duration     // of topics to create; 0 and below: for ever

	MaxMessageBytes int // largest record, headers included; default 16 MiB

	TLS  *tls.Config // nil: plain text
	SASL *SASL       // nil: no authentication

	SessionTimeout time.Duration // default 10 s
	ReleaseTimeout time.Duration // how long a revoked partition waits for its handlers; default 20 s
	CommitInterval time.Duration // least time between two commits of a group; default 10 ms
	NackDelay      time.Duration // pause before a nacked message comes again; default 100 ms

	// The window bounds what is unacked of one partition. Beyond it nothing
	// more is read.
	WindowMessages int // default 1,000
	WindowBytes    int // default 32 MiB
	// WindowKey is the most unacked messages of one key; default a sixteenth
	// of WindowMessages. Those that follow are read past, and again later, so
	// that one key cannot fill the window.
	WindowKey int
	// WindowSpan is the most offsets from the oldest unacked message to the
	// last one read; default 1,000,000.
	WindowSpan int
	// Cooperative rebalances move only the partitions that change hands;
	// without it all stop for a moment. All members of a group need the same.
	Cooperative bool

	// Stock uses watermill-kafka's own subscriber: partition order, one
	// message of a partition in flight.
	Stock bool

	Logger *slog.Logger // default: discard
	// Fatal is called when the broker cannot go on, such as when another
	// process took the same InstanceID. Default: only logged.
	Fatal func(error)
}

// SASL holds the credentials. Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
type SASL struct{ Mechanism, User, Password string }

var instanceRE = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,100}$`)

func (c Config) withDefaults() (Config, error) {
	if c.ClientID == "" {
		c.ClientID = "eventserver"
	}
	if c.Partitions == 0 {
		c.Partitions = 8
	}
	if c.Replication == 0 {
		c.Replication = 1
	}
	def(&c.MaxMessageBytes, 16<<20)
	def(&c.SessionTimeout, 10*time.Second)
	def(&c.ReleaseTimeout, 20*time.Second)
	def(&c.CommitInterval, 10*time.Millisecond)
	def(&c.NackDelay, 100*time.Millisecond)
	def(&c.WindowMessages, 1000)
	def(&c.WindowBytes, 32<<20)
	def(&c.WindowKey, max(1, c.WindowMessages/16))
	def(&c.WindowSpan, 1_000_000)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
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
	if c.Partitions < 1 || c.Replication < 1 {
		errs = append(errs, errors.New("partitions and replication: at least 1"))
	}
	if c.SASL != nil {
		switch c.SASL.Mechanism {
		case sarama.SASLTypePlaintext, sarama.SASLTypeSCRAMSHA256, sarama.SASLTypeSCRAMSHA512:
		default:
			errs = append(errs, fmt.Errorf("sasl.mechanism: %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.SASL.Mechanism))
		}
	}
	return c, errors.Join(errs...)
}

func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// topic is the real name of a logical topic.
func (c Config) topic(logical string) string {
	if real, ok := c.TopicNames[logical]; ok {
		logical = real
	}
	return c.TopicPrefix + logical
}

// client is the part of sarama's configuration that all our clients share.
// docs/design.md tells what each default did that is overridden here.
func (c Config) client() *sarama.Config {
	s := sarama.NewConfig()
	s.Version = sarama.V3_6_0_0
	s.ClientID = c.ClientID
	s.Net.DialTimeout = 3 * time.Second
	s.Net.ReadTimeout = 5 * time.Second
	s.Net.WriteTimeout = 5 * time.Second
	s.Net.MaxOpenRequests = 1
	s.Metadata.Retry.Max = 5
	s.Metadata.Retry.Backoff = 200 * time.Millisecond
	s.Metadata.AllowAutoTopicCreation = false
	s.MetricRegistry = noMetrics{metrics.NewRegistry()}
	s.Producer.RequiredAcks = sarama.WaitForAll
	s.Producer.Idempotent = true
	s.Producer.Retry.Max = 5
	s.Producer.Retry.Backoff = 150 * time.Millisecond
	s.Producer.Timeout = 4 * time.Second
	s.Producer.MaxMessageBytes = c.MaxMessageBytes
	s.Producer.Partitioner = sarama.NewMurmur2Partitioner
	s.Producer.Return.Successes = true
	s.Producer.Return.Errors = true
	if c.TLS != nil {
		s.Net.TLS.Enable = true
		s.Net.TLS.Config = c.TLS
	}
	if c.SASL != nil {
		s.Net.SASL.Enable = true
		s.Net.SASL.Mechanism = sarama.SASLMechanism(c.SASL.Mechanism)
		s.Net.SASL.User = c.SASL.User
		s.Net.SASL.Password = c.SASL.Password
		s.Net.SASL.SCRAMClientGeneratorFunc = scramClient(c.SASL.Mechanism)
	}
	return s
}

// group is the configuration of one consumer group member.
func (c Config) group(instance string) *sarama.Config {
	s := c.client()
	s.Metadata.Full = false              // of its topic, or each member holds those of the whole cluster
	s.Net.ReadTimeout = 10 * time.Second // longer than the long-poll fetch and a JoinGroup wait
	s.Consumer.Group.InstanceId = instance
	s.Consumer.Group.Session.Timeout = c.SessionTimeout
	s.Consumer.Group.Heartbeat.Interval = c.SessionTimeout / 5
	s.Consumer.Group.Rebalance.Timeout = c.ReleaseTimeout + 10*time.Second
	if c.Cooperative {
		s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	s.Consumer.Group.Rebalance.Retry.Max = 4
	s.Consumer.Group.Rebalance.Retry.Backoff = 250 * time.Millisecond
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Offsets.AutoCommit.Interval = 365 * 24 * time.Hour // only at the end of a claim or session; see committer
	s.Consumer.Return.Errors = true
	s.Consumer.Retry.Backoff = 250 * time.Millisecond // the default of 2 s stopped a partition that long whenever its leader moved
	s.Consumer.MaxWaitTime = 250 * time.Millisecond
	s.Consumer.Fetch.Default = 1 << 20
	s.ChannelBufferSize = 256
	return s
}
