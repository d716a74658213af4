package app

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

// EventFault is an event that would be refused: a *schema.Violation, or a
// *envelope.Fault of what the server reads of every event.
type EventFault struct {
	Line int // where the event begins in the text; 1 for the first line
	Err  error
}

// JudgeEvents holds events against their schemas as POST /v1/events does in mode
// enforce, with types that have no schema refused, and returns how many there
// are and every one at fault. The text is one JSON object or array, or NDJSON: an
// object on each line. typ is the type of those that name none.
func JudgeEvents(reg *schema.Registry, typ string, text []byte) (events int, faults []EventFault, err error) {
	policy, err := schema.NewPolicy(schema.PolicyConfig{Registry: reg, RejectUnknown: true})
	if err != nil {
		return 0, nil, err
	}
	for _, doc := range documents(text) {
		envs, _, err := envelope.Parse(doc.text, envelope.Limits{MaxEvents: math.MaxInt})
		if err != nil {
			events++
			faults = append(faults, EventFault{doc.line, err})
			continue
		}
		line, rest := doc.line, doc.text
		for _, env := range envs {
			events++
			before, after, _ := bytes.Cut(rest, env.Raw)
			line += bytes.Count(before, []byte("\n"))
			if err := judge(policy, typ, env); err != nil {
				faults = append(faults, EventFault{line, err})
			}
			line, rest = line+bytes.Count(env.Raw, []byte("\n")), after
		}
	}
	return events, faults, nil
}

func judge(policy *schema.Policy, typ string, env envelope.Envelope) error {
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

// documents splits NDJSON into its lines. What is JSON as a whole is one
// document, and so is a text that no line of is an event: then its own error
// tells more than one for each line.
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
