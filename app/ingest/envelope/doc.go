// Package envelope reads what a client posted: one JSON object, or an array of
// objects, of which only the envelope's fields (id, type, source, time, userId,
// key) are looked at. The object's own bytes travel on unchanged.
//
// encoding/json is not used here: it keeps the last of two equal names, matches
// names in any case, replaces invalid UTF-8 and accepts thousands of levels. Two
// readers of one event would then disagree about what it says.
//
// It imports jsontext beside the standard library and knows nothing of HTTP, of
// destinations or of schemas: status codes, event ids and schema checks belong
// to package app/ingest.
package envelope
