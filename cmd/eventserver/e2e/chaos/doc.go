// Package chaos has the tests that kill, pause and restart servers under load, cut
// connections and take destinations down. An oracle in the test's own process plays
// the receivers and holds what arrives against what was accepted. docs/reliability.md
// says what this proves.
//
// The suite itself (TestChaos...) runs with EVENTSERVER_CHAOS=short, as in `make
// check`, or long, as in `make chaos`.
package chaos
