// Package typed is for Go programs that have events as types of their own: a
// Producer that stores them and handlers that get them back.
//
// Codecs are the one place where a program's type becomes the event of a type
// and comes back: JSON for the structs that `make generate` writes from the
// schemas, NewCodec for a type that looks otherwise than its event.
//
// Kind makes handlers a destination of a server. Start runs a program that only
// handles: in a process of its own, on the server's cluster, with its own consumer
// groups, without HTTP, with the same order, retry, poison queue and shutdown as
// any destination.
//
// It imports app, app/config and the contract. What does not belong here:
// schemas themselves (app/schema) and how events move (router, infra).
package typed
