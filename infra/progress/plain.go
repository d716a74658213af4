package progress

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"eventserver/infra"
)

// Plain text is a note, where there is one, and the kind and the spans, where
// there are some.
const (
	noteMark = 'n' // a note, noteEnd, the position in base 36, noteEnd and the rest
	noteEnd  = "."
)

// plainNote is the note with its position: a tool that sets a group back may
// leave the text as it is.
func plainNote(next int64, note string) string {
	if note == "" {
		return ""
	}
	return string(noteMark) + note + noteEnd + strconv.FormatInt(next, 36) + noteEnd
}

func plainText(s State, kind byte, body []byte) string {
	text := plainNote(s.Next, s.Note)
	if len(body) == 0 {
		return text
	}
	return text + string(kind) + base64.RawStdEncoding.EncodeToString(body)
}

func readPlain(next int64, text string) (note string, above []infra.Span, err error) {
	note, text = cutNote(next, text)
	if text == "" {
		return note, nil, nil
	}
	body, err := base64.RawStdEncoding.DecodeString(text[1:])
	if err != nil {
		return "", nil, err
	}
	if len(body) == 0 {
		return "", nil, errors.New("it has no spans")
	}
	above, err = decodeSpans(next, text[0], body)
	if err != nil {
		return "", nil, err
	}
	return note, above, nil
}

// cutNote takes the note off. Of another position, the note is empty and so is the
// rest.
func cutNote(next int64, text string) (note, rest string) {
	if text[0] != noteMark {
		return "", text
	}
	note, rest, found := strings.Cut(text[1:], noteEnd)
	of, rest, positionFound := strings.Cut(rest, noteEnd)
	if !found || !positionFound || !NoteFits(note) {
		return "", text // not ours
	}
	if of != strconv.FormatInt(next, 36) {
		return "", ""
	}
	return note, rest
}

func unknownKind(kind byte) error { return fmt.Errorf("unknown kind %q", kind) }
