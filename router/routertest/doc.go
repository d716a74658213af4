// Package routertest is what the tests of router, attempt and redact have in common:
// records, subscribers and destinations made of functions, and time that passes in a
// bubble of testing/synctest. It belongs in no program.
//
// It may import record, the contracts of destinations and brokers, and Watermill.
package routertest
