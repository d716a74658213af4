// Package infra has the contracts of a broker, in Watermill's words. A Broker moves
// messages and knows nothing about events. It is one interface, and every broker has
// every method. A Log is what a kind of broker implements. infra/pubsub makes a Broker
// of a Log, and infra/shares divides partitions among members. infra/local is a log in
// this process, infra/kafka one on a cluster. Only package app names them.
//
// It may import Watermill and the standard library.
package infra
