package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/destinations"
)

// own is the configuration of a kind of broker that is not built in.
type own struct {
	Path   string              `yaml:"path" default:"here" doc:"Where."`
	Secret destinations.Secret `yaml:"secret" doc:"What with."`
}

func ownBroker(t *testing.T, broker string) (*Config, error) {
	t.Helper()
	return Parse("test", []byte("broker: "+broker+"\ndestinations: []"), Checks{Brokers: map[string]KindCheck{"own": CheckInto[own]}})
}

func TestBrokerOfOwnKind(t *testing.T) {
	t.Parallel()
	a, err := ownBroker(t, "{kind: own, path: there, secret: canary-a}")
	require.NoError(t, err)
	var got own
	require.NoError(t, a.Broker.Settings.Decode(&got))
	assert.Equal(t, own{"there", "canary-a"}, got)
	shown := a.Redacted()
	assert.Contains(t, shown, "path: there")
	assert.NotContains(t, shown, "canary")

	same, err := ownBroker(t, "{kind: own, secret: canary-a, path: there}")
	require.NoError(t, err)
	assert.Empty(t, a.Differences(same))
	other, err := ownBroker(t, "{kind: own, path: there, secret: canary-b}")
	require.NoError(t, err)
	assert.Equal(t, []string{"broker"}, a.Differences(other), "a reload must say that it takes a restart")

	builtIn, err := ownBroker(t, "{kind: memory}")
	require.NoError(t, err)
	assert.Nil(t, builtIn.Broker.Settings)
	assert.NotContains(t, builtIn.Redacted(), "path")
	_, err = ownBroker(t, "{kind: memory, path: there, kind: own, partions: 3}")
	require.ErrorContains(t, err, "broker.path: unknown key")
	require.ErrorContains(t, err, "broker.kind: duplicate key")
	require.ErrorContains(t, err, `broker.partions: unknown key; did you mean "partitions"?`)
}
