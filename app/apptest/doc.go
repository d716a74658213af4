// Package apptest runs an event-server in a test of a program that embeds it, and waits
// until everything that was accepted is delivered.
//
// It imports app and the standard library. What does not belong here: fakes of
// destinations, which destinations/destinationtest is about.
package apptest
