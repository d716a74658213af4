// Package expr compiles and runs the expressions that an operator writes for a
// destination: a filter (does this event go there?) and a transform (what does
// the destination receive?). The language is CEL: no loops without an end, no
// input or output, no clock, so the same event always gives the same answer.
//
// One variable is declared, event:
//
//	event.id, event.type, event.source, event.key   string
//	event.time, event.received_at                   timestamp (UTC)
//	event.body                                      the posted object
//	event.data                                      its "data" member; the posted object itself if it has none
//
// A misspelt field of event is an error when the configuration is loaded. body
// and data are the client's and dynamic: an absent member is an error when the
// expression runs; has(event.data.x) and event.data.?x.orValue(0) ask first.
// Libraries: strings, encoders, math, lists, sets, optionals, cel.bind and the
// two-variable macros (transformMap).
//
// Numbers: a JSON integer is an int, or a uint above int64; anything else is a
// double. Inside an object or list that is passed on as it came, every number
// keeps its digits (1.10, or 30 digits); a number picked out by itself that fits
// neither int nor uint is rounded to a double. A number beyond a double is an
// error when it is picked out.
//
// A transform's result is JSON: names sorted, <>& not escaped, timestamps
// RFC 3339 in UTC, durations as "1.5s", bytes in base64, optional.none() null.
//
// A run is bounded in cost, memory and result size (see limits.go). Package expr
// imports destinations and CEL; what a failed expression means for the event
// (poison) is package router's business.
package expr
