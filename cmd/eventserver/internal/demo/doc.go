// Package demo shows event-server at work in one process: many users post
// over HTTP, flaky destinations receive, and a checker counts what was lost,
// repeated or out of order.
//
// It may import app and destinations.
package demo
