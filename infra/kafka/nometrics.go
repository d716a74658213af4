package kafka

import "github.com/rcrowley/go-metrics"

// noMetrics is a registry for sarama's own metrics, which nobody reads: they
// count nothing. Counted, they are a fiftieth of the server's CPU at its limit,
// and a quarter of a megabyte for each client.
type noMetrics struct{ metrics.Registry }

// GetOrRegister implements metrics.Registry for the kinds that sarama has.
func (r noMetrics) GetOrRegister(name string, made any) any {
	switch made.(type) {
	case func() metrics.Meter:
		return metrics.NilMeter{}
	case func() metrics.Histogram:
		return metrics.NilHistogram{}
	case func() metrics.Counter:
		return metrics.NilCounter{}
	default:
		return r.Registry.GetOrRegister(name, made)
	}
}
