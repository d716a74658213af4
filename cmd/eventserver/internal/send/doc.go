// Package send is `eventserver send`: it reads events and posts them to a server, or
// puts them on the cluster that a server uses.
//
// It may import app, and of app's packages config, ingest with its envelopes, jsonfault,
// terminal and version; and the contract of destinations for its check of URLs.
package send
