// Package client posts events to an event-server from a Go program, over HTTP.
//
//	client.go  the Client: requests, repeats, answers
//	event.go   an event as it is posted
//	errors.go  what a request that stored nothing, or perhaps something, returns
//
// It imports the standard library, ULIDs and this project's words for errors
// (destinations/cause, app/terminal, router/plural). It knows no part of the server. What does not belong here: what the command
// line adds, such as files of events (cmd/eventserver).
package client
