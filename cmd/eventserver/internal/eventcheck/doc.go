// Package eventcheck validates the events of a text by their schemas, as the server
// would, for `eventserver schema validate`. It may import app/ingest, its envelopes and
// app/schema.
package eventcheck
