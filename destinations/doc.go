// Package destinations is the contract between event-server and the places
// events go to: the Event that was accepted, the Delivery made from it, the
// Destination that receives it, and the errors by which a destination steers
// the router.
//
// It imports the standard library only, so that a Go program can implement a
// Destination without pulling in a broker. Concrete kinds live in packages
// below it (destinations/webhook, ...); only package app names them.
package destinations
