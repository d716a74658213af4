// Package brokertest is the conformance suite of brokers: what each must do,
// whatever it keeps its messages in. RunLog is for the contract of an infra.Log;
// Run and RunBusyKey are for what a subscriber sees of an infra.Broker, RunWatermill
// is Watermill's own suite. A new log calls all four from its tests, the last three
// through infra/pubsub.
//
// It may import infra, Watermill and testing libraries, never a broker.
package brokertest
