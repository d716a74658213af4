// Package e2e has the tests that start the built program: what an operator does at
// the shell, signals, the standard streams, the benchmark. Below it:
//
//   - harness: the program, servers and receivers that all of them use;
//   - chaos: servers that are killed, paused and restarted under load;
//   - gameday: the alerts, the runbooks and docs/operations.md, followed to the letter.
//
// A test that starts the program is skipped by go test -short, as in `make test`; it
// runs in `make check`. The test cache does not know the program: give -count=1.
//
// The packages import no package of the server but the types of its admin API, the
// checker, and infra/local, by which chaos reads a poison queue.
package e2e
