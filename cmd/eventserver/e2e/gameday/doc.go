// Package gameday has the tests that follow the documents of operators to the letter,
// with the built program: ten incidents of docs/runbooks.md from the alert to the last
// event, every alert and panel of deploy/ on a real Prometheus, and the backups and
// repairs of docs/operations.md.
//
// TestAlerts and TestGameDay need EVENTSERVER_TEST_PROMETHEUS, as in `make watch`.
package gameday
