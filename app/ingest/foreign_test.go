package ingest_test

import (
	"net/http"
	"strings"
	"testing"

	"eventserver/app/ingest"
	"eventserver/app/ingest/envelope"
)

// An event in another protocol's form is not accepted as one of ours: its id,
// its type or its user would be lost, and the client would never know. The text
// says what to send.
func TestForeignFormsAreRefused(t *testing.T) {
	const call = `{"type":"track","event":"Order Placed","messageId":"m-1","userId":"ada","properties":{"total":42}}`
	binary := func(pairs ...string) map[string]string {
		h := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i]] = pairs[i+1]
		}
		return h
	}
	cloud := binary("ce-specversion", "1.0", "ce-id", "c1", "ce-type", "order.placed", "ce-source", "/shop", "ce-partitionkey", "ada")
	for name, c := range map[string]struct {
		body   string
		header map[string]string
		status int
		want   string // in the detail
	}{
		"binary":                       {`{"total":42}`, cloud, 415, "ce-specversion"},
		"binary, a body of our fields": {`{"id":"e1","type":"t"}`, cloud, 415, "application/json"},
		"binary, an array":             {`[{"total":42}]`, cloud, 415, "ce-specversion"},
		"binary without a version":     {`{"total":42}`, binary("CE-ID", "c1", "CE-Type", "order.placed"), 415, "ce-id"},
		"binary, a source alone":       {`{"total":42}`, binary("ce-source", "/shop"), 415, "ce-source"},
		"binary, an empty version":     {`{"total":42}`, binary("ce-specversion", ""), 415, "ce-specversion"},
		"binary, version 0.1":          {`{"total":42}`, binary("CE-CloudEventsVersion", "0.1", "CE-EventID", "c1"), 415, "ce-cloudeventsversion"},
		"binary, text":                 {`hello`, binary("ce-specversion", "1.0", "Content-Type", "text/plain"), 415, "ce-specversion"},
		"structured": {`{"specversion":"1.0","id":"c1","type":"order.placed","source":"/shop","partitionkey":"ada"}`,
			binary("Content-Type", "application/cloudevents+json; charset=utf-8"), 415, "structured"},
		"structured, other case":     {`{"specversion":"1.0","id":"c1"}`, binary("Content-Type", "Application/CloudEvents+JSON"), 415, "structured"},
		"batched":                    {`[{"specversion":"1.0","id":"c1"}]`, binary("Content-Type", "application/cloudevents-batch+json"), 415, "batched"},
		"structured, another format": {`x`, binary("Content-Type", "application/cloudevents+avro"), 415, "send it as application/json"},

		"a Segment batch":            {`{"batch":[` + call + `],"sentAt":"2026-11-01T10:00:00Z","writeKey":"wk"}`, nil, 400, "batch: "},
		"a Segment batch alone":      {`{"batch":[` + call + `]}`, nil, 400, "JSON array of events"},
		"an empty one":               {`{"batch":[]}`, nil, 400, "batch: "},
		"with ids of its own":        {`{"messageId":"m-0","id":"e1","userId":"ada","batch":[` + call + `]}`, nil, 400, "batch: "},
		"with an empty type":         {`{"type":"","batch":[` + call + `]}`, nil, 400, "batch: "},
		"written with an escape":     {`{"\u0062atch":[` + call + `]}`, nil, 400, "batch: "},
		"in an array":                {`[{"id":"e1"},{"batch":[` + call + `]}]`, nil, 400, "[1].batch: "},
		"a Segment call":             {call, nil, 400, "messageId: "},
		"a Segment call in an array": {`[` + call + `]`, nil, 400, "[0].messageId: "},
		"of a visitor":               {`{"type":"page","anonymousId":"v-1","userId":null,"messageId":"m-1"}`, nil, 400, "userId: "},
		"of a visitor, no id":        {`{"type":"page","anonymousId":"v-1"}`, nil, 400, "anonymousId: "},
		"of a visitor, an id":        {`{"type":"identify","id":"e1","anonymousId":"v-1"}`, nil, 400, "send the same value as key"},
		"sent as a form":             {`{"batch":[` + call + `]}`, binary("Content-Type", "application/x-www-form-urlencoded"), 415, "application/json"},
		"sent as text":               {call, binary("Content-Type", "text/plain"), 415, "application/json"},

		"a type and a batch":        {`{"id":"e1","type":"import.done","batch":[1,2]}`, nil, 202, ""},
		"a batch that is no array":  {`{"id":"e1","batch":"b-7"}`, nil, 202, ""},
		"a batch deeper down":       {`{"id":"e1","data":{"batch":[1]}}`, nil, 202, ""},
		"a Segment call with an id": {`{"id":"m-1","type":"track","messageId":"m-1","userId":"ada"}`, nil, 202, ""},
		"a messageId of another":    {`{"id":"e1","type":"mail.sent","messageId":"m-1"}`, nil, 202, ""},
		"of another, without id":    {`{"type":"mail.sent","messageId":"m-1","anonymousId":"v"}`, nil, 202, ""},
		"the fields of CloudEvents": {`{"specversion":"1.0","id":"c1","type":"order.placed","source":"/shop","data":{}}`, nil, 202, ""},
		"another JSON type":         {`{"id":"e1"}`, binary("Content-Type", "application/vnd.shop+json"), 202, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, ingest.Config{}, ack)
			resp, body := f.do(t, request{body: c.body, header: c.header})
			if resp.StatusCode != c.status || !strings.Contains(body, c.want) {
				t.Errorf("%d %s\nwant %d and %q", resp.StatusCode, body, c.status, c.want)
			}
			if stored := len(f.seen); (stored == 0) != (c.status != http.StatusAccepted) {
				t.Errorf("%d stored after %d", stored, resp.StatusCode)
			}
		})
	}
	t.Run("the old API", func(t *testing.T) {
		f := open(t, ingest.Config{}, ack)
		if resp, body := f.do(t, request{path: "/publish", body: `{"userId":"u","payload":"p"}`, header: cloud}); resp.StatusCode != 415 {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	})
}

// What is stored without HTTP is an event of ours, too.
func TestForeignFormsAreNoEvents(t *testing.T) {
	for _, data := range []string{`{"batch":[{}]}`, `{"type":"track","messageId":"m"}`} {
		if err := envelope.Check("e1", "", "", "k", []byte(data), envelope.Limits{}); err == nil {
			t.Errorf("%s is taken for an event", data)
		}
	}
}
