package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Tailing shows events as they pass through a topic.
type Tailing interface {
	// Tail settles where to begin. Its errors are made by NotFound and Invalid, or
	// answer 500.
	Tail(ctx context.Context, q TailQuestion) (*Tail, error)
}

// Tail is a look at a topic that has not begun.
type Tail struct {
	TailStarted
	// Run hands record each record as the question's format has it, until ctx or
	// Count ends it; the error is nil then only for Count. warn is told of what does
	// not end it.
	Run func(ctx context.Context, record func(line []byte) error, warn func(cause error) error) error
}

// Formats of a record.
const (
	TailJSON = "json"
	TailText = "text"
)

// TailQuestion says what a tail shows. What is empty narrows nothing.
type TailQuestion struct {
	Type        string `query:"type" maxLength:"256" doc:"Types as in a destination's types: exact, order.* or *"`
	Key         string `query:"key" maxLength:"1024" doc:"Ordering key: the user"`
	Destination string `query:"destination" maxLength:"128" doc:"Show the payloads for this destination, instead of the accepted events"`
	Poison      bool   `query:"poison" doc:"Show what the destination has given up"`
	From        string `query:"from" maxLength:"64" default:"end" doc:"Where to begin: beginning, end, or how long ago, such as 10m"`
	Count       int    `query:"count" minimum:"0" doc:"End after this number of records; 0: never"`
	Format      string `query:"format" enum:"json,text" default:"json" doc:"json: lines have a record. text: lines have a text, the record as one line for people"`
	Width       int    `query:"width" minimum:"0" doc:"Maximum characters of a payload in a text; 0: all"`
	Payload     bool   `query:"payload" doc:"With payloads, their headers and the events' metadata; needs role write"`
}

// TailLine is one line of the answer. It has one of its fields.
type TailLine struct {
	Started   *TailStarted    `json:"started,omitempty" doc:"The first line: later records are shown"`
	Record    json.RawMessage `json:"record,omitempty"`
	Text      *string         `json:"text,omitempty" doc:"A record as one line for people"`
	Warning   string          `json:"warning,omitempty" doc:"The failure that is retried"`
	Heartbeat time.Time       `json:"heartbeat,omitzero" doc:"The server is alive, and has had nothing to show for ten seconds"`
	End       *TailEnd        `json:"end,omitempty" doc:"The last line. An answer without it is incomplete"`
}

// TailStarted says what is shown.
type TailStarted struct {
	Topic      string `json:"topic" doc:"Its name on the broker"`
	Partitions int    `json:"partitions"`
}

// TailEnd says why a tail has ended.
type TailEnd struct {
	Reason string `json:"reason" enum:"count,slow,stopping,failed" doc:"count: the requested number was shown. slow: the client did not take the lines. stopping: the server stops"`
	Detail string `json:"detail,omitempty"`
}

// Reasons of a TailEnd.
const (
	tailCount    = "count"
	tailSlow     = "slow"
	tailStopping = "stopping"
	tailFailed   = "failed"
)

// TailRecord is one record of a topic.
type TailRecord struct {
	ReceivedAt  string            `json:"received_at" doc:"Time when the event was accepted, or else when the record was stored"`
	Topic       string            `json:"topic"`
	Partition   int32             `json:"partition"`
	Offset      int64             `json:"offset"`
	ID          string            `json:"id"`
	Type        string            `json:"type"`
	Source      string            `json:"source,omitempty"`
	Key         string            `json:"key" doc:"Ordering key: the user"`
	Time        string            `json:"time,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Sequence    *int64            `json:"sequence,omitempty" doc:"For a record of a destination: the offset of its event"`
	Headers     map[string]string `json:"headers,omitempty" doc:"Of a destination's payload"`
	Redrives    int               `json:"redrives,omitempty" doc:"How often it was redriven"`
	*TailPoison
	*TailMark
	Error      string          `json:"error,omitempty" doc:"Why the record is not an event of event-server"`
	Data       json.RawMessage `json:"data,omitempty" doc:"The payload"`
	DataBase64 []byte          `json:"data_base64,omitempty" doc:"A payload that is no JSON"`
}

// TailPoison is why a delivery was given up.
type TailPoison struct {
	Stage    string `json:"stage" required:"false"`
	Reason   string `json:"reason" required:"false"`
	Detail   string `json:"detail" required:"false"`
	Attempts int    `json:"attempts" required:"false"`
	First    string `json:"first_attempt,omitempty"`
	Last     string `json:"last_attempt,omitempty"`
	// LeftOut is poison.Item's.
	LeftOut []string `json:"left_out,omitempty" doc:"Parts that were too large for the poison queue. show-poison reads them from the source"`
}

// TailMark says that a record of the poison queue is settled, and how.
type TailMark struct {
	Mark  string `json:"mark" required:"false" doc:"redriven, discarded or skipped"`
	Of    string `json:"mark_of" required:"false" doc:"partition:offset of the record"`
	By    string `json:"mark_by,omitempty"`
	Run   string `json:"mark_run,omitempty"`
	Event string `json:"mark_event,omitempty"`
}

type tailInput struct{ TailQuestion }

func (s *Server) tailOperations(api huma.API) {
	op := reading("tail", "/v1/tail", "Show records as they pass through a topic, one JSON object a line, until the client ends it")
	op.Errors = append(op.Errors, http.StatusNotFound)
	schemas := api.OpenAPI().Components.Schemas
	line := schemas.Schema(reflect.TypeFor[TailLine](), true, "")
	schemas.SchemaFromRef(line.Ref).Properties["record"] = schemas.Schema(reflect.TypeFor[TailRecord](), true, "")
	op.Responses = map[string]*huma.Response{"200": {Description: "Lines as the events pass", Content: map[string]*huma.MediaType{
		streamType: {Schema: line},
	}}}
	register(api, op, func(ctx context.Context, in *tailInput) (*huma.StreamResponse, error) {
		if s.cfg.Tailing == nil {
			return nil, absent("events")
		}
		if in.Payload {
			if err := NeedWrite(ctx, "payload"); err != nil {
				return nil, err
			}
		}
		t, err := s.cfg.Tailing.Tail(ctx, in.TailQuestion)
		if err != nil {
			return nil, err
		}
		return s.begin(ctx, s.tail(t, in.TailQuestion, CallerOf(ctx)))
	})
}

// tail is the stream of t.
func (s *Server) tail(t *Tail, q TailQuestion, by Caller) stream {
	began, shown := time.Now(), 0
	return stream{
		produce: func(ctx context.Context, to *lines) error {
			put := func(l TailLine) error { return to.put(ctx, jsonLine(l)) }
			if err := put(TailLine{Started: &t.TailStarted}); err != nil {
				return err
			}
			return t.Run(ctx, func(line []byte) error {
				shown++
				if q.Format == TailText {
					text := string(line)
					return put(TailLine{Text: &text})
				}
				return to.put(ctx, append(append([]byte(`{"record":`), line...), '}')) // as it is: it may be escaped more than it must be
			}, func(cause error) error { return put(TailLine{Warning: cause.Error()}) })
		},
		beat: func() []byte { return append(jsonLine(TailLine{Heartbeat: time.Now().UTC()}), '\n') },
		end:  func(err error) []byte { return append(jsonLine(TailLine{End: s.tailEnd(err)}), '\n') },
		ended: func(err error) {
			why := tailCount
			if err != nil {
				why = err.Error()
			}
			s.cfg.Logger.Info("a tail has ended", slog.String("topic", t.Topic), slog.String("by", by.Name), slog.Bool("payload", q.Payload), slog.Int("shown", shown), slog.Duration("took", time.Since(began)), slog.String("why", why))
		},
	}
}

func (s *Server) tailEnd(err error) *TailEnd {
	switch {
	case err == nil:
		return &TailEnd{Reason: tailCount}
	case errors.Is(err, errStalled):
		return &TailEnd{Reason: tailSlow, Detail: "no line was taken for " + s.pace.stall.String() + "; what came since is not shown"}
	case errors.Is(err, errStopping):
		return &TailEnd{Reason: tailStopping, Detail: err.Error()}
	}
	return &TailEnd{Reason: tailFailed, Detail: err.Error()}
}

// jsonLine is v on one line, without the end of it.
func jsonLine(v TailLine) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte(`{"end":{"reason":"failed","detail":` + strconv.Quote(err.Error()) + `}}`)
	}
	return b
}
