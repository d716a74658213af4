package memory

import (
	"testing"
	"time"

	"eventserver/infra"
	"eventserver/infra/brokertest"
)

func TestBusyKey(t *testing.T) {
	brokertest.RunBusyKey(t, func(t *testing.T) infra.Broker {
		return open(t, Config{Partitions: 1, WindowMessages: brokertest.BusyWindow, WindowKey: brokertest.BusyWindowKey, ReleaseTimeout: time.Second})
	})
}
