package local

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"eventserver/infra"
	"eventserver/infra/brokertest"
)

func TestContract(t *testing.T) {
	var dirs sync.Map // by log
	open := func(t *testing.T, dir string) infra.Log {
		l, err := Open(Config{Dir: dir, Partitions: 4})
		require.NoError(t, err)
		dirs.Store(l, dir)
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		return l
	}
	t.Run("Memory", func(t *testing.T) {
		brokertest.RunLog(t, func(t *testing.T) infra.Log { return open(t, "") }, brokertest.LogOptions{Partitions: 4})
	})
	t.Run("Directory", func(t *testing.T) {
		brokertest.RunLog(t, func(t *testing.T) infra.Log { return open(t, t.TempDir()) }, brokertest.LogOptions{
			Partitions: 4,
			Reopen: func(t *testing.T, l infra.Log) infra.Log {
				require.NoError(t, l.Close())
				dir, _ := dirs.Load(l)
				return open(t, dir.(string))
			},
		})
	})
}
