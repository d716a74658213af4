package eventcheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/go-json-experiment/json/jsontext"

	"eventserver/app/ingest"
	"eventserver/app/ingest/envelope"
	"eventserver/app/schema"
)

// Fault is an event that would be refused: a *schema.Violation, or a
// *envelope.Fault of what the server reads of every event.
type Fault struct {
	Line int // where the event begins in the text, from 1
	Err  error
}

// Check validates events as POST /v1/events does in mode enforce, and refuses types
// without a schema. It returns how many events there are and every fault. The text is
// one JSON object or array, or NDJSON: an object on each line. typ is the type of
// events that name none.
func Check(reg *schema.Registry, typ string, text []byte) (events int, faults []Fault, err error) {
	policy, err := schema.NewPolicy(schema.PolicyConfig{Registry: reg, RejectUnknown: true})
	if err != nil {
		return 0, nil, err
	}
	for _, doc := range documents(text) {
		envs, _, err := envelope.Parse(doc.text, envelope.Limits{MaxEvents: math.MaxInt})
		if err != nil {
			events++
			faults = append(faults, Fault{doc.line, err})
			continue
		}
		line, rest := doc.line, doc.text
		for _, env := range envs {
			events++
			before, after, _ := bytes.Cut(rest, env.Raw)
			line += bytes.Count(before, []byte("\n"))
			if err := validate(policy, typ, env); err != nil {
				faults = append(faults, Fault{line, err})
			}
			line, rest = line+bytes.Count(env.Raw, []byte("\n")), after
		}
	}
	return events, faults, nil
}

func validate(policy *schema.Policy, typ string, env envelope.Envelope) error {
	switch {
	case env.Type == "":
		env.Type = typ
	case typ != "" && env.Type != typ:
		return fmt.Errorf("is of type %q, not %q; correct the event or --type", env.Type, typ)
	}
	e := ingest.Event(env, env.Time)
	v, err := ingest.Judge(context.Background(), policy, &e, env.Key != "", nil)
	switch {
	case err != nil:
		return err
	case v == nil:
		return nil
	case env.Type == "":
		return errors.New("names no type; add one to the event, or give --type")
	}
	return v
}

type document struct {
	line int
	text []byte
}

// documents splits NDJSON into its lines. A text that is JSON as a whole is one
// document. So is a text in which no line is an event: one error for all of it says
// more than an error for each line.
func documents(text []byte) []document {
	whole := []document{{1, text}}
	if jsontext.Value(text).IsValid() {
		return whole
	}
	var lines []document
	isEvent := false
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		lines = append(lines, document{n, line})
		isEvent = isEvent || line[0] == '{' && jsontext.Value(line).IsValid()
	}
	if !isEvent {
		return whole
	}
	return lines
}
