package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
	"eventserver/infra/local"
)

// A program's own broker had no way to tell of damage.
func TestOwnBrokerTellsOfDamage(t *testing.T) {
	t.Parallel()
	var given BrokerConfig
	o := Options{Registry: prometheus.NewRegistry(), Stdout: &output{}, Brokers: []BrokerKind{
		NewBroker("own", func(_ context.Context, b BrokerConfig, _ struct{}) (infra.Log, error) {
			given = b
			return local.Open(local.Config{MaxRecordBytes: b.RecordBytes})
		}),
	}}
	file := filepath.Join(t.TempDir(), "eventserver.yaml")
	require.NoError(t, os.WriteFile(file, []byte("http: {addr: '127.0.0.1:0'}\nadmin: {addr: 'off'}\nbroker: {kind: own}\ndestinations: [{id: log, kind: log}]"), 0o600))
	cfg, err := Load(file, o)
	require.NoError(t, err)
	a, err := New(t.Context(), cfg, o)
	require.NoError(t, err)
	given.Damaged(&infra.DamageError{File: "segment 7", Err: errors.New("it is cut short")})
	require.NoError(t, testutil.GatherAndCompare(o.Registry, strings.NewReader("# HELP eventserver_broker_damaged 1 once this process has met a file or records of its broker that cannot be read, until it is started again.\n# TYPE eventserver_broker_damaged gauge\neventserver_broker_damaged 1\n"), "eventserver_broker_damaged"))
	require.NoError(t, a.Close())
}
