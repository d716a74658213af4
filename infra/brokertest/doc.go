// Package brokertest is the conformance suite of infra.Broker: what every
// broker must do, whatever it keeps its messages in. Run is ours, RunWatermill
// is Watermill's own. A new broker calls both from its tests.
//
// It may import infra, Watermill and testing libraries, never a broker.
package brokertest
