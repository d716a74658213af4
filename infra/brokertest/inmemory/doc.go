// Package inmemory opens a broker in memory for the tests of other packages: the broker
// of `broker.kind: memory`. It is not a part of brokertest, because the tests of
// infra/local import brokertest. It may import infra, infra/local and infra/pubsub.
package inmemory
