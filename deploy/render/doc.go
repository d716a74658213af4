// Command render draws a Grafana dashboard without Grafana: it reads the
// dashboard's JSON, runs the queries of its panels on a Prometheus, and draws
// the panels in their grid to a PNG. It is how the picture of the README is
// made (make picture). It knows the panels that our dashboards have, time series
// and stat, and draws them plainly: it is no screenshot and says so.
//
// It is a module of its own, so that what it draws with is no dependency of
// event-server.
package main
