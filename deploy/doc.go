// Package deploy holds what docker-compose.yml mounts and what the image has
// baked in. Its tests check, without Docker, what of it can be checked so.
package deploy
