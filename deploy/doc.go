// Package deploy holds what docker-compose.yml mounts. Its tests check, without
// Docker, what of it can be checked so.
package deploy
