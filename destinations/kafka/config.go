package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"eventserver/destinations"
)

// Kind is the name of this kind of destination in the configuration.
const Kind = "kafka"

// Config names a topic and how to reach its cluster.
type Config struct {
	Brokers         []string `yaml:"brokers" required:"true" min:"1" doc:"Bootstrap servers, host:port."`
	Topic           string   `yaml:"topic" required:"true" doc:"Topic to write to. It must exist."`
	MaxMessageBytes int      `yaml:"max_message_bytes" default:"1000000" unit:"bytes" min:"1" doc:"Maximum size of a record with key and headers; at most the topic's max.message.bytes."`
	TLS             TLS      `yaml:"tls" doc:"TLS of the connection."`
	SASL            SASL     `yaml:"sasl" doc:"Authentication."`
}

// TLS says how connections are encrypted.
type TLS struct {
	Enabled            bool   `yaml:"enabled" default:"false" doc:"Use TLS."`
	CAFile             string `yaml:"ca_file" doc:"PEM file of the certificate authorities to trust instead of the system's."`
	CertFile           string `yaml:"cert_file" doc:"PEM file of the client certificate."`
	KeyFile            string `yaml:"key_file" doc:"PEM file of its key."`
	ServerName         string `yaml:"server_name" doc:"Name in the brokers' certificates, where it is not their host."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" default:"false" doc:"Trust any certificate. For tests only."`
}

// SASL says who we are.
type SASL struct {
	Mechanism string              `yaml:"mechanism" oneof:"PLAIN SCRAM-SHA-256 SCRAM-SHA-512" doc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Without it there is no authentication."`
	User      string              `yaml:"user" doc:"User name."`
	Password  destinations.Secret `yaml:"password" doc:"Password."`
}

// The mechanisms of SASL.
const (
	mechanismPlain    = "PLAIN"
	mechanismSCRAM256 = "SCRAM-SHA-256"
	mechanismSCRAM512 = "SCRAM-SHA-512"
)

func (s SASL) mechanism() sasl.Mechanism {
	switch s.Mechanism {
	case mechanismSCRAM256:
		return scram.Auth{User: s.User, Pass: s.Password.Reveal()}.AsSha256Mechanism()
	case mechanismSCRAM512:
		return scram.Auth{User: s.User, Pass: s.Password.Reveal()}.AsSha512Mechanism()
	default:
		return plain.Auth{User: s.User, Pass: s.Password.Reveal()}.AsMechanism()
	}
}

func (c Config) withDefaults() Config {
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = 1_000_000 // below the brokers' default of 1,048,588
	}
	return c
}

var topicRE = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// Validate returns errors.Join of one "key: what is wrong" for each fault.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("brokers: is empty; give at least one host:port"))
	}
	for i, b := range c.Brokers {
		if err := destinations.CheckDial(b); err != nil {
			errs = append(errs, fmt.Errorf("brokers[%d]: %q %w; write kafka-1:9092", i, b, err))
		}
	}
	if !topicRE.MatchString(c.Topic) || c.Topic == "." || c.Topic == ".." {
		errs = append(errs, fmt.Errorf("topic: %.260q is not 1 to 249 of a-z A-Z 0-9 . _ -", c.Topic))
	}
	if c.MaxMessageBytes < 0 || c.MaxMessageBytes > 90<<20 { // a request of the client library has at most 100 MiB
		errs = append(errs, fmt.Errorf("max_message_bytes: %d is not between 1 and 90MiB", c.MaxMessageBytes))
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, prefixed("tls.", err)...)
	}
	if err := c.SASL.Validate(); err != nil {
		errs = append(errs, prefixed("sasl.", err)...)
	}
	return errors.Join(errs...)
}

func prefixed(path string, err error) []error {
	leaves := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		leaves = joined.Unwrap()
	}
	var out []error
	for _, leaf := range leaves {
		out = append(out, fmt.Errorf("%s%w", path, leaf))
	}
	return out
}

// Validate is of this section alone, with its keys.
func (t TLS) Validate() error {
	var errs []error
	if (t.CertFile == "") != (t.KeyFile == "") {
		errs = append(errs, errors.New("cert_file: cert_file and key_file go together; give both or none"))
	}
	if !t.Enabled && t != (TLS{}) {
		errs = append(errs, errors.New("enabled: is false, but other keys of tls are given; write enabled: true, or delete them"))
	}
	return errors.Join(errs...)
}

// Validate is of this section alone, with its keys.
func (s SASL) Validate() error {
	switch s.Mechanism {
	case "":
		if s.User != "" || s.Password != "" {
			return errors.New("mechanism: is missing; write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return nil
	case mechanismPlain, mechanismSCRAM256, mechanismSCRAM512:
	default:
		return fmt.Errorf("mechanism: %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
	}
	var errs []error
	if s.User == "" {
		errs = append(errs, errors.New("user: is missing"))
	}
	if s.Password == "" {
		errs = append(errs, errors.New("password: is missing"))
	}
	return errors.Join(errs...)
}

// batchOverhead is what a batch has beside its records, in bytes.
const batchOverhead = 61

// client is the library's configuration. Few of its defaults fit: it tries a
// record for ever, and compresses. One request under way for each broker makes
// batches of what waits meanwhile.
func (c Config) client() ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID("eventserver"),
		kgo.DialTimeout(3 * time.Second),
		kgo.MetadataMinAge(150 * time.Millisecond),
		kgo.RequestTimeoutOverhead(5 * time.Second),
		kgo.RequestRetries(3),
		kgo.RetryTimeout(5 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 150 * time.Millisecond }),
		kgo.DisableClientMetrics(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MaxProduceRequestsInflightPerBroker(1),
		kgo.ProduceRequestTimeout(4 * time.Second),
		kgo.ProducerBatchMaxBytes(int32(max(c.MaxMessageBytes+batchOverhead, 512))), // at most 90 MiB: Validate
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.RecordRetries(3),
		kgo.UnknownTopicRetries(1),
	}
	if c.TLS.Enabled {
		t, err := c.TLS.load()
		if err != nil {
			return nil, errors.Join(prefixed("tls.", err)...)
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	if c.SASL.Mechanism != "" {
		opts = append(opts, kgo.SASL(c.SASL.mechanism()))
	}
	return opts, nil
}

func (t TLS) load() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // a documented switch for tests
	return conf, destinations.TLSFiles{CA: t.CAFile, Cert: t.CertFile, Key: t.KeyFile}.Load(conf)
}

// Precheck looks for the files of TLS.
func (c Config) Precheck() error {
	if !c.TLS.Enabled {
		return nil
	}
	if _, err := c.TLS.load(); err != nil {
		return errors.Join(prefixed("tls.", err)...)
	}
	return nil
}
