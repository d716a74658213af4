// Package app puts event-server together from a configuration: it opens the
// broker, builds the destinations, the pipeline and the HTTP front, runs them,
// and stops them in order. It alone names concrete kinds of destination and
// concrete brokers, one list each.
//
// A Go program that adds a destination kind of its own imports app and
// destinations.
package app
