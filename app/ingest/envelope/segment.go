package envelope

import "github.com/go-json-experiment/json/jsontext"

// segment is what an object has of Segment's HTTP API. Its calls would be
// accepted as events of ours, and lose who they are: their id is messageId, and
// a batch is many.
type segment struct{ batch, messageID, anonymousID bool }

func (s *segment) member(f field, kind jsontext.Kind) {
	switch f {
	case fieldBatch:
		s.batch = kind == '['
	case fieldMessageID:
		s.messageID = kind == '"'
	case fieldAnonymousID:
		s.anonymousID = kind == '"'
	}
}

// lost is the member that the server would not read of a call of Segment's, and
// what to send instead; "" when it reads all.
func (s segment) lost(e Envelope) (field, reason string) {
	switch {
	case s.batch && e.Type == "":
		return "batch", "is an array in an event without a type, as Segment's batches are, which are not understood: " +
			"its calls would be one event without their ids; send them as a JSON array of events, each with id, type and userId"
	case !segmentCall(e.Type):
	case s.messageID && e.ID == "":
		return "messageId", "is the id of a call of Segment's (type " + e.Type + "), which is not understood: send the same value as id"
	case s.anonymousID && e.Key == "":
		return "anonymousId", "is the user of a call of Segment's (type " + e.Type + "), which is not understood: send the same value as key"
	}
	return "", ""
}

func segmentCall(typ string) bool {
	switch typ {
	case "track", "identify", "page", "screen", "group", "alias":
		return true
	}
	return false
}
