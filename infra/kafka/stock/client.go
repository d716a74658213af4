package stock

import (
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"

	"eventserver/infra/kafka"
)

// client is the configuration of one member of a group.
func client(c *kafka.Config, group string) *sarama.Config {
	s := sarama.NewConfig()
	s.Version = sarama.V3_6_0_0
	if c.ClientID != "" {
		s.ClientID = c.ClientID
	}
	s.Net.DialTimeout = 3 * time.Second
	s.Net.ReadTimeout = 10 * time.Second // longer than the long-poll fetch and a JoinGroup wait
	s.Net.WriteTimeout = 5 * time.Second
	s.Metadata.Retry.Max = 5
	s.Metadata.Retry.Backoff = 200 * time.Millisecond
	s.Metadata.AllowAutoTopicCreation = false
	s.Metadata.Full = false // of its topic, or each member holds those of the whole cluster
	s.MetricRegistry = metrics.NewRegistry()
	if c.InstanceID != "" {
		s.Consumer.Group.InstanceId = c.InstanceID + "." + group
	}
	if c.SessionTimeout > 0 {
		s.Consumer.Group.Session.Timeout = c.SessionTimeout
		s.Consumer.Group.Heartbeat.Interval = c.SessionTimeout / 5
	}
	if !c.Eager {
		s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	s.Consumer.Group.Rebalance.Retry.Max = 4
	s.Consumer.Group.Rebalance.Retry.Backoff = 250 * time.Millisecond
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Offsets.AutoCommit.Interval = commitInterval
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	s.Consumer.Return.Errors = true
	s.Consumer.Retry.Backoff = 250 * time.Millisecond // the default of 2 s stopped a partition that long whenever its leader moved
	s.Consumer.MaxWaitTime = 250 * time.Millisecond
	s.Consumer.Fetch.Default = 1 << 20
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
