package tree

import (
	"maps"
	"slices"
	"strconv"
)

// Draft is the version of JSON Schema that files are written in.
const Draft = "https://json-schema.org/draft/2020-12/schema"

// Holds says what the value of a keyword is made of.
type Holds byte

// What the value of a keyword can be.
const (
	HoldsData Holds = iota + 1 // no schema: taken as it is
	HoldsSchema
	HoldsList // of schemas
	HoldsMap  // of names to schemas
)

// Keywords are those of JSON Schema 2020-12 that files may use.
var Keywords = map[string]Holds{
	"$schema": HoldsData, "$ref": HoldsData, "$anchor": HoldsData, "$comment": HoldsData, "$defs": HoldsMap,

	"allOf": HoldsList, "anyOf": HoldsList, "oneOf": HoldsList, "not": HoldsSchema,
	"if": HoldsSchema, "then": HoldsSchema, "else": HoldsSchema, "dependentSchemas": HoldsMap,
	"prefixItems": HoldsList, "items": HoldsSchema, "contains": HoldsSchema,
	"properties": HoldsMap, "patternProperties": HoldsMap, "additionalProperties": HoldsSchema, "propertyNames": HoldsSchema,
	"unevaluatedItems": HoldsSchema, "unevaluatedProperties": HoldsSchema,

	"type": HoldsData, "enum": HoldsData, "const": HoldsData,
	"multipleOf": HoldsData, "maximum": HoldsData, "exclusiveMaximum": HoldsData, "minimum": HoldsData, "exclusiveMinimum": HoldsData,
	"maxLength": HoldsData, "minLength": HoldsData, "pattern": HoldsData,
	"maxItems": HoldsData, "minItems": HoldsData, "uniqueItems": HoldsData, "maxContains": HoldsData, "minContains": HoldsData,
	"maxProperties": HoldsData, "minProperties": HoldsData, "required": HoldsData, "dependentRequired": HoldsData,

	"title": HoldsData, "description": HoldsData, "default": HoldsData, "deprecated": HoldsData,
	"readOnly": HoldsData, "writeOnly": HoldsData, "examples": HoldsData, "format": HoldsData,
	"contentEncoding": HoldsData, "contentMediaType": HoldsData, "contentSchema": HoldsSchema,
}

// Refused are keywords of this or an older draft, with what to do instead.
var Refused = map[string]string{
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

// Counts are the keywords whose value the library keeps as an int.
var Counts = []string{
	"minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains", "minProperties", "maxProperties",
}

// MaxCount is 2^53: what every language's JSON holds.
const MaxCount = 1 << 53

// Formats are those asserted, each with what a message says of it.
var Formats = map[string]string{
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

// SortedKeys are the keys of a map, sorted.
func SortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Subschemas calls visit for every schema directly inside s, in the order of the
// file. ptr is the pointer to s.
func Subschemas(s *Value, ptr string, visit func(sub *Value, ptr, keyword string)) {
	for _, m := range s.Members {
		at := ptr + "/" + Escape(m.Name)
		switch Keywords[m.Name] {
		case HoldsSchema:
			visit(m.Value, at, m.Name)
		case HoldsList:
			for i, sub := range m.Value.Items {
				visit(sub, at+"/"+strconv.Itoa(i), m.Name)
			}
		case HoldsMap:
			for _, sub := range m.Value.Members {
				visit(sub.Value, at+"/"+Escape(sub.Name), m.Name)
			}
		}
	}
}
