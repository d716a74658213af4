// Package docs holds the documents. It has no code but tests: every relative link
// and anchor exists (links_test.go), and flow.svg is drawn from flow.txt
// (flow_test.go; `make generate` draws it).
//
// The tests may import the standard library only. What needs the server to check a
// document stands with the server: commands in cmd/eventserver, configurations in app.
package docs
