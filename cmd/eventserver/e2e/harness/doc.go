// Package harness starts the built program for the tests below cmd/eventserver/e2e:
// servers as processes, and receivers that can go away. It imports the standard
// library alone, and only tests import it.
package harness
