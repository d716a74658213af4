// Package infra is what the router needs of a broker, in Watermill's words.
// A Broker moves messages and knows nothing of events. It is one interface, and
// every broker has all of it. A Log is what a broker implements; infra/pubsub makes
// a Broker of it, and infra/shares gives partitions to members. infra/local is a log in
// this process, infra/kafka one on a cluster. Only package app names them.
//
// It may import Watermill and the standard library.
package infra
