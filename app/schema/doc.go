// Package schema holds the types of events: what an event of a type looks like,
// whether a posted one does, and what a change of a type breaks.
//
// A directory (schemas/) has one YAML file for each type, *.yaml or *.yml: a
// JSON Schema 2020-12 of the whole event as it is posted, with
//
//	x-event: {type: order.placed, version: 1, key: /customerId}
//
// at its top (key is optional: a JSON pointer to the ordering key), a
// description and examples. Subdirectories are read too. A file or directory
// whose name begins with "_" holds definitions that others share, and no event:
// `$ref: _common.yaml#/$defs/money`. Names that begin with a dot are not read, nor
// are directories named testdata: they hold the events that TestEvents tries.
//
// Load is strict, because a slip in a schema lets bad events in for good: an
// unknown keyword that does not begin with "x-", an unknown format, or a $ref
// that leaves the directory is a fault. Not used here, and refused, are $id,
// $dynamicRef, $dynamicAnchor and $vocabulary: files refer to each other by path.
// YAML that reads differently elsewhere is refused as well: tags, merge keys
// (<<), unquoted dates, and numbers that JSON writes in another way.
//
// Formats are asserted: date-time, date, time, duration, email, hostname, ipv4,
// ipv6, uri, uri-reference, uri-template, iri, iri-reference, uuid, json-pointer,
// relative-json-pointer and regex. contentEncoding, contentMediaType and
// contentSchema are annotations. A pattern is a regular expression of Go (RE2).
//
// Package quick judges events, and bounds what that costs: what would take more steps
// than it may is refused by RuleCost. cost.go tells at load what is doubtful.
//
// Package tree is the schemas as JSON, evolve says what a change of a type breaks, gogen
// writes Go types.
//
// The members that every event may have for the server (id, type, source, time,
// userId, key, at the top only) are left out of the validation unless the schema
// names them for the top of the event, in properties, required, dependentRequired
// or dependentSchemas, there or behind its allOf, anyOf, oneOf, not, if, then,
// else and $ref. So additionalProperties: false does not refuse them.
//
// It imports the standard library, tree, quick, app/textfile and the YAML parser. What does
// not belong here: HTTP and its status codes (app/ingest), the envelope's own rules
// (app/ingest/envelope), and anything of brokers or destinations.
package schema
