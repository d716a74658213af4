package embedded

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneBrokerADirectory(t *testing.T) {
	t.Parallel()
	cfg := testConfig(filepath.Join(t.TempDir(), "made", "when missing"))
	b := open(t, cfg)
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 1)
	for range 2 {
		_, err := New(cfg)
		require.ErrorContains(t, err, "broker.dir: "+cfg.Dir+" is in use by another eventserver")
	}
	require.NoError(t, b.Ping(t.Context()), "the first is not disturbed")
	publish(t, b, topic, "u", 1, 1)
	require.NoError(t, b.Close())
	b = open(t, cfg)
	_, in := subscribe(t, b, "webhook", topic)
	only(t, b, in, topic, "u", "0", "1")
}

// Without a directory there is nothing to lock and nothing that stays.
func TestInMemory(t *testing.T) {
	t.Parallel()
	a, b := open(t, testConfig("")), open(t, testConfig(""))
	ensure(t, a, topic)
	ensure(t, b, topic)
	publish(t, a, topic, "u", 0, 3)
	_, in := subscribe(t, a, "webhook", topic)
	only(t, a, in, topic, "u", numbers(0, 3)...)
	_, in = subscribe(t, b, "webhook", topic)
	only(t, b, in, topic, "u")
}

func TestBadDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		_, err := New(testConfig(dir))
		require.ErrorContains(t, err, "broker.dir: ")
		require.ErrorContains(t, err, file)
	}

	locked := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(locked, "lock"), 0o700))
	_, err := New(testConfig(locked))
	require.ErrorContains(t, err, "broker.dir: ")

	inside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(inside, "broker"), nil, 0o600))
	_, err = New(testConfig(inside))
	require.ErrorContains(t, err, inside)
	require.NoError(t, os.Remove(filepath.Join(inside, "broker")))
	open(t, testConfig(inside)) // what failed holds no lock

	strange := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(strange, "broker"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(strange, "broker", "meta.json"), []byte("{"), 0o600))
	_, err = New(testConfig(strange))
	require.ErrorContains(t, err, strange)
	require.ErrorContains(t, err, "meta.json")
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := testConfig(dir)
	cfg.TrimAge = -time.Second
	_, err := New(cfg)
	require.ErrorContains(t, err, "TrimAge")
	cfg = testConfig(dir)
	cfg.SegmentBytes = -1
	_, err = New(cfg)
	require.ErrorContains(t, err, "SegmentBytes")
	cfg = testConfig(dir)
	cfg.Kafka.InstanceID = "has spaces"
	_, err = New(cfg)
	require.ErrorContains(t, err, "instance_id")
	open(t, testConfig(dir)) // what failed holds no lock and no cluster
}

// A configuration for a real cluster works here with another broker.kind.
func TestSettingsOfARealCluster(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	cfg.Kafka.Replication = 3
	cfg.Kafka.Retention = time.Nanosecond // retention deletes what is not delivered
	cfg.Kafka.Brokers = []string{"192.0.2.1:9092"}
	cfg.Kafka.TopicPrefix = "prod."
	cfg.Kafka.TopicNames = map[string]string{topic: "user-events"}
	cfg.Kafka.InstanceID = "node-1"
	b := open(t, cfg)
	ensure(t, b, topic)
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 3)
	_, in := subscribe(t, b, "webhook", topic)
	only(t, b, in, topic, "u", numbers(0, 3)...)
	settings := probe(t, b).config(t, sarama.TopicResource, "prod.user-events")
	assert.Equal(t, "-1", settings["retention.ms"])
}

// Whoever can connect can read and write every event.
func TestListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	b := open(t, testConfig(t.TempDir()))
	require.NotEmpty(t, b.Addrs())
	for _, addr := range b.Addrs() {
		host, _, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		assert.True(t, net.ParseIP(host).IsLoopback(), addr)
	}
	for _, broker := range probe(t, b).client.Brokers() { // and says so to its clients
		host, _, err := net.SplitHostPort(broker.Addr())
		require.NoError(t, err)
		assert.True(t, net.ParseIP(host).IsLoopback(), broker.Addr())
	}
}
