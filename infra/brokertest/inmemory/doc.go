// Package inmemory opens a broker in memory for the tests of other packages. It is
// what `broker.kind: memory` opens. It is no part of brokertest, which the tests of
// infra/local import. It may import infra, infra/local and infra/pubsub.
package inmemory
