package destinations

import (
	"bytes"
	"mime"
	"strings"
)

// Payload is what one destination receives of an Event.
type Payload struct {
	ContentType string
	Headers     map[string]string // extra headers for the receiver; may be nil
	Body        []byte
}

// Null reports whether the payload carries no data: it has no bytes, or is the
// JSON value null. It is a tombstone where the receiver knows them.
func (p Payload) Null() bool {
	return len(p.Body) == 0 || string(bytes.TrimSpace(p.Body)) == "null" && (p.ContentType == "" || IsJSON(p.ContentType))
}

// IsJSON reports whether contentType is application/json or of another JSON format.
func IsJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	typ, _, err := mime.ParseMediaType(contentType)
	return err == nil && (typ == "application/json" || strings.HasSuffix(typ, "+json"))
}
