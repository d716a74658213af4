// Package budget is the memory of all requests for events together: one number
// of bytes, charged before the memory is taken and given back with it.
//
//	connections     a quarter, by number: each costs ConnectionCost
//	small requests  a quarter that requests above SmallRequest cannot use
//	requests        the rest: headers, bodies, decompressors, decoded events
//
// It imports the standard library only. What a request costs is in cost.go, and a
// test holds it to what is allocated. When to charge, and what to answer, belong
// to package app/ingest.
package budget
