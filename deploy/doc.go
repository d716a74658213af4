// Package deploy holds what operators run: what docker-compose.yml mounts, what
// the image has baked in, Prometheus' rules and alerts, and Grafana's dashboards.
// Its tests check, without Docker, what of it can be checked so; on a real
// Prometheus beside live servers the rules and the dashboards are run by package
// cmd/eventserver/e2e/gameday (make watch). render draws a dashboard without Grafana.
package deploy
