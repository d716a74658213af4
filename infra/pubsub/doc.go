// Package pubsub makes an infra.Broker of an infra.Log. What is hard about a broker is
// here once, for every log.
//
// A subscriber hands out many messages of a partition at once, within a window. It defers
// messages of users who have too many in flight, and reads them again in order. It keeps
// exactly what is done. For a consumer that does not wait for receivers it hands out runs
// (infra.Run). New messages are then read once for all subscriptions (live.go).
//
// It may import infra, infra/progress, Watermill and the standard library. It knows no
// log by name.
package pubsub
