// Package brokertest is the conformance suite of brokers. RunLog tests the contract of an
// infra.Log, Run and RunBusyKey test an infra.Broker through its subscribers, and
// RunWatermill is Watermill's own suite. The tests of a new log call all four, the last
// three through infra/pubsub.
//
// It may import infra, Watermill and testing libraries, never a broker.
package brokertest
