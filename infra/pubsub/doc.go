// Package pubsub makes an infra.Broker of an infra.Log: what is hard stands here
// once, for every log. A subscriber hands out many messages of a partition at once,
// within a window; it reads past users who have too many in flight and takes their
// events up again in order; it keeps exactly what is done. Or it hands out runs, for a
// consumer that waits for nobody (infra.Run); what comes is then read once for all
// subscriptions (live.go).
//
// It may import infra, infra/progress, Watermill and the standard library. It knows
// no log by name.
package pubsub
