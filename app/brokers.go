package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/infra/kafka"
	"eventserver/infra/kafka/stock"
	"eventserver/infra/local"
	"eventserver/infra/pubsub"
	"eventserver/metrics"
	"eventserver/router"
	"eventserver/router/record"
)

// kafkaConfig is what the configuration says of a client of Kafka's protocol.
func kafkaConfig(c *config.Config, log *slog.Logger, fatal func(error)) kafka.Config {
	b := c.Broker
	return kafka.Config{
		Brokers: b.Brokers, InstanceID: b.InstanceID, TopicPrefix: b.TopicPrefix, TopicNames: b.Topics,
		Partitions: b.Partitions, Replication: b.Replication, Retention: b.Retention,
		MaxMessageBytes: recordLimit(c), SessionTimeout: b.SessionTimeout, Eager: b.Rebalance == "eager",
		Shards: record.EventsTopic, Owners: b.Owners, Logger: log, Fatal: fatal,
	}
}

// hooks are called about an open broker; nil ones are not.
type hooks struct {
	fatal  func(error)      // it cannot go on
	damage *router.Damage   // what cannot be read
	store  func(*local.Log) // the one in this process is open
	reg    prometheus.Registerer
}

// openBroker opens the broker that the configuration names.
func (o Options) openBroker(ctx context.Context, c *config.Config, log *slog.Logger, to hooks) (infra.Broker, error) {
	if to.fatal == nil {
		to.fatal = func(error) {}
	}
	b := c.Broker
	if own, ok := o.brokers()[b.Kind]; ok {
		return own.broker(ctx, c, log, to)
	}
	switch b.Kind {
	case "embedded":
		return opened(openLocal(c, local.Config{Dir: b.Dir, NoSync: !b.Sync}, b.TrimAge, log, to))
	case "memory":
		return opened(openLocal(c, local.Config{}, min(b.TrimAge, memoryTrimAge), log, to))
	case "kafka":
		return o.openKafka(ctx, c, log, to)
	default:
		return nil, fmt.Errorf("broker.kind: %q is not built in", b.Kind)
	}
}

// openKafka opens the broker on a cluster. The cluster's own retention trims.
func (o Options) openKafka(ctx context.Context, c *config.Config, log *slog.Logger, to hooks) (infra.Broker, error) {
	k, err := secured(c.Broker, kafkaConfig(c, log, to.fatal))
	if err != nil {
		return nil, err
	}
	if k.Owners == "" && o.HandleOnly {
		k.Owners = "handlers"
	}
	if to.reg != nil {
		if k.Observer, err = metrics.NewKafka(to.reg, kafka.ClientWork, kafka.ClientLive, kafka.ClientOwners); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	l, err := connect(ctx, k)
	if err != nil {
		return nil, err
	}
	b, err := onLog(l, c, 0, log, to)
	if err != nil || c.Ordering != "partition" {
		return b, err
	}
	slow, err := stock.New(b, k)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("broker.%w", err), b.Close())
	}
	return slow, nil
}

// memoryTrimAge bounds what a broker in memory keeps of what is done.
const memoryTrimAge = time.Minute

// openLocal opens the broker that is in this process.
func openLocal(c *config.Config, l local.Config, trimAge time.Duration, log *slog.Logger, to hooks) (infra.Broker, error) {
	l.Partitions, l.MaxRecordBytes, l.Logger, l.Fatal = c.Broker.Partitions, recordLimit(c), log, to.fatal
	if to.damage != nil {
		l.Damaged = to.damage.Met
	}
	opened, err := local.Open(l)
	if err != nil {
		return nil, err
	}
	if to.store != nil {
		to.store(opened)
	}
	return onLog(opened, c, trimAge, log, to)
}

// onLog makes a broker of a log, which it closes when it cannot.
func onLog(l infra.Log, c *config.Config, trimAge time.Duration, log *slog.Logger, to hooks) (infra.Broker, error) {
	b := c.Broker
	p := pubsub.Config{
		Memory: c.DeliveryMemory(), WindowMessages: b.WindowMessages, WindowKey: b.WindowKey, WindowSpan: b.WindowSpan,
		PartitionOrder: c.Ordering == "partition", ReleaseTimeout: releaseTimeout(c), TrimAge: trimAge, Logger: log,
	}
	if to.damage != nil {
		p.Damaged = to.damage.Passed
	}
	broker, err := pubsub.New(l, p)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return broker, nil
}

// secured adds how to reach a cluster that asks for TLS or SASL.
func secured(b config.Broker, k kafka.Config) (kafka.Config, error) {
	var err error
	if k.TLS, err = b.TLS.Client(); err != nil {
		return k, fmt.Errorf("broker.tls: %w", err)
	}
	if b.SASL != nil {
		k.SASL = &kafka.SASL{
			Mechanism: b.SASL.Mechanism, User: b.SASL.User, Password: b.SASL.Password.Reveal(),
			TokenURL: b.SASL.TokenURL, ClientID: b.SASL.ClientID, ClientSecret: b.SASL.ClientSecret.Reveal(), Scopes: b.SASL.Scopes, Audience: b.SASL.Audience, Extensions: b.SASL.Extensions,
			AccessKey: b.SASL.AccessKey, SecretKey: b.SASL.SecretKey.Reveal(), SessionToken: b.SASL.SessionToken.Reveal(),
		}
	}
	return k, nil
}

// connectTimeout bounds the start: an address where something else answers
// would hold it up for as long as the client is willing to try.
const connectTimeout = 30 * time.Second

// connect opens the log on a cluster, or gives up when ctx ends.
func connect(ctx context.Context, k kafka.Config) (*kafka.Log, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	l, err := kafka.Open(ctx, k)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("broker.brokers: no Kafka answered at %s: %w", strings.Join(k.Brokers, ", "), ctx.Err())
	}
	return l, err
}

// opened keeps the nil pointer of a failed start out of the interface, which
// would not be nil.
func opened[B infra.Broker](b B, err error) (infra.Broker, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

// recordLimit leaves room for headers: an event accepted at the limit must
// still fit with what the poison queue adds to it.
func recordLimit(c *config.Config) int { return max(4*int(c.HTTP.MaxEventBytes), 4<<20) }

// poisonHeadroom is what the poison queue may add to a record, and more.
const poisonHeadroom = 64 << 10

// releaseTimeout is longer than any attempt, so that a rebalance waits for
// what is under way.
func releaseTimeout(c *config.Config) time.Duration {
	longest := 10 * time.Second
	for _, d := range c.Destinations {
		longest = max(longest, d.Timeout)
	}
	return longest + 5*time.Second
}
