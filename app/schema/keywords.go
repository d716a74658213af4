package schema

import (
	"maps"
	"slices"
	"strconv"
)

// draft is the version of JSON Schema that files are written in.
const draft = "https://json-schema.org/draft/2020-12/schema"

// holds says what the value of a keyword is made of.
type holds byte

const (
	holdsData holds = iota + 1 // no schema: taken as it is
	holdsSchema
	holdsList // of schemas
	holdsMap  // of names to schemas
)

// keywords are those of JSON Schema 2020-12 that files may use.
var keywords = map[string]holds{
	"$schema": holdsData, "$ref": holdsData, "$anchor": holdsData, "$comment": holdsData, "$defs": holdsMap,

	"allOf": holdsList, "anyOf": holdsList, "oneOf": holdsList, "not": holdsSchema,
	"if": holdsSchema, "then": holdsSchema, "else": holdsSchema, "dependentSchemas": holdsMap,
	"prefixItems": holdsList, "items": holdsSchema, "contains": holdsSchema,
	"properties": holdsMap, "patternProperties": holdsMap, "additionalProperties": holdsSchema, "propertyNames": holdsSchema,
	"unevaluatedItems": holdsSchema, "unevaluatedProperties": holdsSchema,

	"type": holdsData, "enum": holdsData, "const": holdsData,
	"multipleOf": holdsData, "maximum": holdsData, "exclusiveMaximum": holdsData, "minimum": holdsData, "exclusiveMinimum": holdsData,
	"maxLength": holdsData, "minLength": holdsData, "pattern": holdsData,
	"maxItems": holdsData, "minItems": holdsData, "uniqueItems": holdsData, "maxContains": holdsData, "minContains": holdsData,
	"maxProperties": holdsData, "minProperties": holdsData, "required": holdsData, "dependentRequired": holdsData,

	"title": holdsData, "description": holdsData, "default": holdsData, "deprecated": holdsData,
	"readOnly": holdsData, "writeOnly": holdsData, "examples": holdsData, "format": holdsData,
	"contentEncoding": holdsData, "contentMediaType": holdsData, "contentSchema": holdsSchema,
}

// refused are keywords of this or an older draft, with what to do instead.
var refused = map[string]string{
	"$id":              "is not used here, because files refer to each other by path; delete it",
	"id":               "is a keyword of draft 4; delete it, or put it under properties",
	"$dynamicRef":      "is not used here; use $ref",
	"$dynamicAnchor":   "is not used here; use $defs and $ref",
	"$recursiveRef":    "is a keyword of draft 2019-09; use $ref",
	"$recursiveAnchor": "is a keyword of draft 2019-09; use $ref",
	"$vocabulary":      "is of metaschemas, not of schemas; delete it",
	"definitions":      "is a keyword of draft 7; write $defs",
	"dependencies":     "is a keyword of draft 7; write dependentRequired or dependentSchemas",
	"additionalItems":  "is a keyword of draft 7; write prefixItems with items",
}

// counts are the keywords whose value the library keeps as an int.
var counts = []string{
	"minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains", "minProperties", "maxProperties",
}

// maxCount is 2^53: what every language's JSON holds.
const maxCount = 1 << 53

// formats are those asserted, each with what a message says of it.
var formats = map[string]string{
	"date-time":             "a date and time with zone, such as 2026-01-31T12:00:00Z",
	"date":                  "a date such as 2026-01-31",
	"time":                  "a time with zone, such as 12:00:00Z",
	"duration":              "an ISO 8601 duration such as P1DT12H",
	"email":                 "an email address such as ada@example.com",
	"hostname":              "a host name such as www.example.com",
	"ipv4":                  "an IPv4 address such as 192.0.2.1",
	"ipv6":                  "an IPv6 address such as 2001:db8::1",
	"uri":                   "an absolute URI such as https://example.com/a",
	"uri-reference":         "a URI or a relative reference such as /a/b",
	"uri-template":          "a URI template such as /users/{id}",
	"iri":                   "an absolute IRI such as https://example.com/a",
	"iri-reference":         "an IRI or a relative reference such as /a/b",
	"uuid":                  "a UUID such as 0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11",
	"json-pointer":          "a JSON pointer such as /lines/0/price",
	"relative-json-pointer": "a relative JSON pointer such as 1/price",
	"regex":                 "a regular expression",
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// subschemas calls visit for every schema directly inside s, in the order of the
// file. ptr is the pointer to s.
func subschemas(s *value, ptr string, visit func(sub *value, ptr, keyword string)) {
	for _, m := range s.members {
		at := ptr + "/" + escape(m.name)
		switch keywords[m.name] {
		case holdsSchema:
			visit(m.value, at, m.name)
		case holdsList:
			for i, sub := range m.value.items {
				visit(sub, at+"/"+strconv.Itoa(i), m.name)
			}
		case holdsMap:
			for _, sub := range m.value.members {
				visit(sub.value, at+"/"+escape(sub.name), m.name)
			}
		}
	}
}
