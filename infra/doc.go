// Package infra is what the router needs of a broker, in Watermill's words.
// A Broker moves messages and knows nothing of events. It is one interface, and
// every broker has all of it. The brokers live below: infra/memory,
// infra/embedded and infra/kafka; only package app names them.
//
// It may import Watermill and the standard library.
package infra
