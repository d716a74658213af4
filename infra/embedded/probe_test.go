package embedded

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

// prober looks into the cluster with a client of its own.
type prober struct {
	client sarama.Client
	admin  sarama.ClusterAdmin
}

func probe(t *testing.T, b *Broker) *prober {
	t.Helper()
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	client, err := sarama.NewClient(b.Addrs(), cfg)
	require.NoError(t, err)
	admin, err := sarama.NewClusterAdminFromClient(client)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close() })
	return &prober{client: client, admin: admin}
}

func (p *prober) offset(t *testing.T, topic string, partition int32, at int64) int64 {
	t.Helper()
	n, err := p.client.GetOffset(topic, partition, at)
	require.NoError(t, err)
	return n
}

func (p *prober) oldest(t *testing.T, topic string, partition int32) int64 {
	t.Helper()
	return p.offset(t, topic, partition, sarama.OffsetOldest)
}

func (p *prober) newest(t *testing.T, topic string, partition int32) int64 {
	t.Helper()
	return p.offset(t, topic, partition, sarama.OffsetNewest)
}

// commit sets a group's offset in one partition, as an operator's tool does.
func (p *prober) commit(t *testing.T, group, topic string, partition int32, at int64) {
	t.Helper()
	resp, err := p.admin.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{
		topic: {partition: {Offset: at, LeaderEpoch: -1}},
	}, nil)
	require.NoError(t, err)
	require.Equal(t, sarama.ErrNoError, resp.Errors[topic][partition])
}

// knows makes a group one that has everything to do.
func (p *prober) knows(t *testing.T, group, topic string) {
	t.Helper()
	p.commits(t, group, topic, func(int32) int64 { return 0 })
}

// did makes a group one that has done everything.
func (p *prober) did(t *testing.T, group, topic string) {
	t.Helper()
	p.commits(t, group, topic, func(part int32) int64 { return p.newest(t, topic, part) })
}

func (p *prober) commits(t *testing.T, group, topic string, at func(partition int32) int64) {
	t.Helper()
	parts, err := p.client.Partitions(topic)
	require.NoError(t, err)
	for _, part := range parts {
		p.commit(t, group, topic, part, at(part))
	}
}

// config returns the settings of the cluster's node or of a topic.
func (p *prober) config(t *testing.T, of sarama.ConfigResourceType, name string) map[string]string {
	t.Helper()
	results, err := p.admin.DescribeConfigs([]*sarama.ConfigResource{{Type: of, Name: name}}, sarama.DescribeConfigsOptions{})
	require.NoError(t, err)
	require.Len(t, results, 1)
	require.Equal(t, sarama.ErrNoError, results[0].ErrorCode)
	settings := map[string]string{}
	for _, e := range results[0].Configs {
		settings[e.Name] = e.Value
	}
	return settings
}
