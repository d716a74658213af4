// Package expr compiles and runs the expressions that an operator writes for a
// destination: a filter (does this event go there?) and a transform (what does
// the destination receive?). The language is CEL: no loops without an end, no
// input or output, no clock, so the same event always gives the same answer.
// docs/expressions.md is the page for operators.
//
// # Values
//
// The body of an event stays text (scan.go). object and array look into it when
// an expression asks for a member or an item; what is passed on as it came is
// copied as it is written. A number that says more than an int or a uint is a
// number (number.go): exact while it is moved or compared, a double when it is
// computed on.
//
// # Limits
//
// Every call is made by a node of ours (call.go), which asks the table of
// functions (functions.go) for the price, charges it to the run's meter
// (limits.go) and makes the call then. An environment with a function that is not
// in the table is refused. Steps of constant cost are counted by CEL.
//
//	limit    counts                              ends the run with
//	steps    CEL's cost units                    ErrLimit, "costs too much"
//	work     ns of work that grows with sizes    ErrLimit, "costs too much"
//	alloc    bytes of values                     ErrLimit, "more memory"
//	result   bytes of a transform's result       ErrLimit, "the result"
//
// # Faults at load
//
// constants.go evaluates what is the same for every event, and judges constant
// arguments such as time zones and patterns.
//
// Package expr imports destinations and CEL; what a failed expression means for
// the event (poison) is package router's business.
package expr
