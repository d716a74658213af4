package inmemory

import (
	"eventserver/infra"
	"eventserver/infra/local"
	"eventserver/infra/pubsub"
)

// Open returns a broker whose topics have the given number of partitions; 0: the
// default. It is closed when the test ends.
func Open(t Test, partitions int32, cfg pubsub.Config) infra.Broker {
	t.Helper()
	l, err := local.Open(local.Config{Partitions: partitions})
	if err != nil {
		t.Fatalf("open a broker in memory: %v", err)
	}
	b, err := pubsub.New(l, cfg)
	if err != nil {
		t.Fatalf("open a broker in memory: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close the broker in memory: %v", err)
		}
	})
	return b
}

// Test is a test, a benchmark, or a run of a property test.
type Test interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	FailNow()
	Cleanup(f func())
}
