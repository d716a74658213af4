package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Poison looks into the poison queues. Requests ask it, many at once. Its errors
// are made by NotFound, Invalid and Conflict, or answer 500.
type Poison interface {
	// List returns what is not settled, by destination, partition and offset.
	List(ctx context.Context, q PoisonQuery) (PoisonPage, error)
	// Counts counts what is not settled.
	Counts(ctx context.Context, f PoisonFilter) (PoisonCounts, error)
	// Show returns the records of item, an event's id or partition:offset, those
	// that are settled too; of every destination with "". payload adds what they carry.
	Show(ctx context.Context, destination, item string, payload bool) (PoisonFound, error)
}

// PoisonRuns change the poison queues. A run goes on by itself and is asked
// after: no request and no proxy waits as long as a redrive may take.
type PoisonRuns interface {
	// Begin starts a run for the caller named by, and waits for its end for a
	// moment.
	Begin(ctx context.Context, order PoisonOrder, by string) (PoisonRun, error)
	// Run tells how a run goes, when it has ended or after wait.
	Run(ctx context.Context, id string, wait time.Duration) (PoisonRun, error)
	// Stop ends a run between two of its steps, and waits for that.
	Stop(ctx context.Context, id string) (PoisonRun, error)
}

// PoisonFilter says which items are meant. What is empty narrows nothing.
type PoisonFilter struct {
	Destination string `json:"destination,omitempty" query:"destination" doc:"Id of a destination. Without it: every configured destination"`
	Class       string `json:"reason_class,omitempty" query:"reason_class" enum:"pipeline,receiver" doc:"pipeline: no delivery was made (undecodable, transform, filter, schema). receiver: the receiver did not accept it (permanent, attempts, age)"`
	Reason      string `json:"reason,omitempty" query:"reason" enum:"undecodable,transform,filter,schema,permanent,attempts,age" doc:"Why it was given up"`
	Type        string `json:"type,omitempty" query:"type" doc:"Types as in a destination's types: exact, order.* or *"`
	Key         string `json:"key,omitempty" query:"key" doc:"Ordering key: the user"`
	EventID     string `json:"event_id,omitempty" query:"event_id" doc:"Id of one event"`
	Position    string `json:"position,omitempty" query:"position" doc:"partition:offset of one record; needs a destination"`
	Since       string `json:"since,omitempty" query:"since" doc:"Given up at this time or later: RFC 3339, or how long ago, such as 90m or 24h"`
	Until       string `json:"until,omitempty" query:"until" doc:"Given up before this time, in the form of since"`
}

// PoisonQuery is a filter and which page of the answer.
type PoisonQuery struct {
	PoisonFilter
	Limit int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Maximum number of items in the answer"`
	After string `query:"after" doc:"next of the page before"`
}

// PoisonItem is a record of a poison queue.
type PoisonItem struct {
	Destination string    `json:"destination"`
	Position    string    `json:"position" doc:"partition:offset in the poison queue"`
	EventID     string    `json:"event_id,omitempty" doc:"Absent where the record could not be decoded"`
	Key         string    `json:"key,omitempty" doc:"Ordering key: the user"`
	Type        string    `json:"type,omitempty"`
	Stage       string    `json:"stage" doc:"transform or deliver: where it was given up"`
	Class       string    `json:"reason_class" doc:"pipeline or receiver"`
	Reason      string    `json:"reason"`
	Detail      string    `json:"detail" doc:"Error of the last attempt"`
	Attempts    int       `json:"attempts"`
	First       time.Time `json:"first_attempt,omitzero"`
	Last        time.Time `json:"last_attempt,omitzero"`
	ReceivedAt  time.Time `json:"received_at,omitzero" doc:"When the event was accepted"`
	PoisonedAt  time.Time `json:"poisoned_at,omitzero" doc:"When the record was stored"`
	Sequence    int64     `json:"sequence"`
	Redrives    int       `json:"redrives" doc:"How often it was redriven before"`
	Size        int       `json:"size" doc:"Bytes of its payload"`
	LeftOut     []string  `json:"left_out,omitempty" doc:"Parts that the poison queue does not have, because the record is larger than the broker takes, in the order in which they are left out. body; headers: of the payload; other: headers of other programs; context: of the event; long: every other header and key above 1 KiB. They are in the source"`
	Source      string    `json:"source,omitempty" doc:"With left_out: topic/partition:offset of the record that was given up"`
}

// PoisonPage is a part of a list.
type PoisonPage struct {
	Items []PoisonItem `json:"items"`
	Next  string       `json:"next,omitempty" doc:"Where the next page begins, for after; absent on the last page"`
}

// PoisonCount is how many items have a reason.
type PoisonCount struct {
	Class  string `json:"reason_class"`
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// PoisonTotal is what a destination's poison queue has.
type PoisonTotal struct {
	Destination string        `json:"destination"`
	Count       int           `json:"count"`
	Oldest      time.Time     `json:"oldest,omitzero" doc:"When the oldest of them was given up"`
	Newest      time.Time     `json:"newest,omitzero" doc:"When the newest of them was given up"`
	Reasons     []PoisonCount `json:"reasons"`
}

// PoisonCounts counts by destination and reason.
type PoisonCounts struct {
	Count        int           `json:"count"`
	Destinations []PoisonTotal `json:"destinations"`
}

// PoisonMark says that a record is settled, and how.
type PoisonMark struct {
	Mark     string    `json:"mark" doc:"redriven, discarded, or skipped: transformed again, and no longer wanted"`
	By       string    `json:"by"`
	Run      string    `json:"run"`
	At       time.Time `json:"at,omitzero"`
	Position string    `json:"position" doc:"partition:offset of the mark"`
}

// PoisonRecord is an item with all there is of it.
type PoisonRecord struct {
	PoisonItem
	Settled    *PoisonMark       `json:"settled,omitempty" doc:"Absent while it waits for an operator"`
	Headers    map[string]string `json:"headers" doc:"The record's headers; those of the event's context and of the payload with payload=true alone"`
	Data       json.RawMessage   `json:"data,omitempty" doc:"Its payload, with payload=true, when that is JSON"`
	DataBase64 []byte            `json:"data_base64,omitempty" doc:"Its payload, with payload=true, when that is no JSON"`
	Gone       string            `json:"gone,omitempty" doc:"With left_out: why the source no longer has it; absent where the source has it"`
}

// PoisonFound is what Show found, the oldest first: an event that was redriven
// and given up again is there twice.
type PoisonFound struct {
	Records []PoisonRecord `json:"records"`
}

// PoisonOrder says what a run is to do with what.
type PoisonOrder struct {
	PoisonFilter
	Action      string   `json:"action,omitempty" enum:"redrive,discard" doc:"Given by the path" hidden:"true"`
	All         bool     `json:"all,omitempty" doc:"Without any filter: every item of every destination"`
	DryRun      bool     `json:"dry_run,omitempty" doc:"Report what would be done, and change nothing"`
	Limit       int      `json:"limit,omitempty" minimum:"0" doc:"Maximum number of items to settle; 0: all"`
	Rate        *float64 `json:"rate,omitempty" minimum:"0" doc:"Maximum number of redrives per second; 0: no limit; default 100"`
	MaxRedrives *int     `json:"max_redrives,omitempty" minimum:"0" doc:"Refuse items that were redriven this often before; default 3"`
	Force       bool     `json:"force,omitempty" doc:"Redrive also items that were redriven max_redrives times, and items behind an item of their key that stays"`
	Wait        *int     `json:"wait,omitempty" minimum:"0" maximum:"10" doc:"Maximum seconds until the answer. The run continues after it; default 10"`
	Again       bool     `json:"again,omitempty" doc:"Continue although the output of an earlier, killed run is deleted: deliveries may be sent twice"`
}

// PoisonProblem is an item that a run left where it is.
type PoisonProblem struct {
	Destination string `json:"destination"`
	Position    string `json:"position"`
	EventID     string `json:"event_id,omitempty"`
	Why         string `json:"why"`
}

// PoisonRun is how a run goes.
type PoisonRun struct {
	ID           string          `json:"run"`
	Action       string          `json:"action"`
	By           string          `json:"by"`
	DryRun       bool            `json:"dry_run"`
	State        string          `json:"state" enum:"running,done,failed,stopped"`
	Error        string          `json:"error,omitempty" doc:"Why it failed"`
	Started      time.Time       `json:"started"`
	Ended        time.Time       `json:"ended,omitzero"`
	Destinations []string        `json:"destinations"`
	Matched      int             `json:"matched" doc:"Items that matched the filter so far"`
	Redriven     int             `json:"redriven" doc:"Redriven items; with dry_run: items that would be redriven"`
	Discarded    int             `json:"discarded"`
	Skipped      int             `json:"skipped" doc:"Transformed again, and no longer wanted by the destination: settled"`
	Failed       int             `json:"failed" doc:"Left in the queue: the transformation failed again, the record is larger than the broker takes, or its body is deleted"`
	Refused      int             `json:"refused" doc:"Left in the queue: redriven max_redrives times before"`
	Behind       int             `json:"behind" doc:"Left in the queue because an earlier item of their key was left"`
	Recovered    int             `json:"recovered" doc:"Items that a killed run sent, and this run marked"`
	First        []PoisonItem    `json:"first,omitempty" doc:"With dry_run: the first items"`
	Problems     []PoisonProblem `json:"problems,omitempty" doc:"The first items that were left, and why"`
}

// everyDestination stands in a path for a destination; no id looks like it.
const everyDestination = "-"

// NotFound is the error of what is not there.
func NotFound(text string) error { return huma.Error404NotFound(text) }

// Invalid is the error of a request that cannot be meant.
func Invalid(text string) error { return huma.Error400BadRequest(text) }

// Conflict is the error of what cannot be done now.
func Conflict(text string) error { return huma.Error409Conflict(text) }

type (
	poisonPageOutput   struct{ Body PoisonPage }
	poisonCountsOutput struct{ Body PoisonCounts }
	poisonFoundOutput  struct{ Body PoisonFound }
	poisonRunOutput    struct{ Body PoisonRun }
	poisonOrderInput   struct{ Body PoisonOrder }
	poisonShowInput    struct {
		Destination string `path:"destination" doc:"Id of the destination; - for every destination"`
		Item        string `path:"item" doc:"Id of the event, or partition:offset"`
		Payload     bool   `query:"payload" doc:"With the payload, its headers and the event's metadata; needs role write"`
	}
	poisonRunInput struct {
		Run  string `path:"run" doc:"Id of the run"`
		Wait int    `query:"wait" minimum:"0" maximum:"60" doc:"Maximum seconds to wait for its end"`
	}
	poisonStopInput struct {
		Run string `path:"run" doc:"Id of the run"`
	}
)

func (s *Server) poisonOperations(api huma.API) {
	const area = "poison queues"
	list := reading("list-poison", "/v1/poison", "What the poison queues have that is not settled, in pages")
	list.Errors = append(list.Errors, http.StatusNotFound)
	huma.Register(api, list, func(ctx context.Context, in *PoisonQuery) (*poisonPageOutput, error) {
		if s.cfg.Poison == nil {
			return nil, absent(area)
		}
		page, err := s.cfg.Poison.List(ctx, *in)
		return &poisonPageOutput{page}, err
	})
	counts := reading("count-poison", "/v1/poison/counts", "How many items the poison queues have, by destination and reason")
	counts.Errors = append(counts.Errors, http.StatusNotFound)
	huma.Register(api, counts, func(ctx context.Context, in *PoisonFilter) (*poisonCountsOutput, error) {
		if s.cfg.Poison == nil {
			return nil, absent(area)
		}
		c, err := s.cfg.Poison.Counts(ctx, *in)
		return &poisonCountsOutput{c}, err
	})
	show := reading("show-poison", "/v1/poison/{destination}/{item}", "All there is of an event in a poison queue, settled or not")
	show.Errors = append(show.Errors, http.StatusNotFound)
	huma.Register(api, show, func(ctx context.Context, in *poisonShowInput) (*poisonFoundOutput, error) {
		if s.cfg.Poison == nil {
			return nil, absent(area)
		}
		if in.Payload {
			if err := NeedWrite(ctx, "payload"); err != nil {
				return nil, err
			}
		}
		if in.Destination == everyDestination {
			in.Destination = ""
		}
		found, err := s.cfg.Poison.Show(ctx, in.Destination, in.Item, in.Payload)
		return &poisonFoundOutput{found}, err
	})
	for _, a := range [][2]string{
		{"redrive", "Send items on again to their destination, in the order of each key; answers when it is done or after some seconds"},
		{"discard", "Settle items without sending them; answers when it is done or after some seconds"},
	} {
		action := a[0]
		begin := changing(action+"-poison", "/v1/poison/"+action, a[1])
		begin.Errors = append(begin.Errors, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge)
		huma.Register(api, begin, func(ctx context.Context, in *poisonOrderInput) (*poisonRunOutput, error) {
			if s.cfg.PoisonRuns == nil {
				return nil, absent(area)
			}
			in.Body.Action = action
			run, err := s.cfg.PoisonRuns.Begin(ctx, in.Body, CallerOf(ctx).Name)
			Note(ctx, slog.String("run", run.ID), slog.String("destination", in.Body.Destination), slog.Bool("dry_run", in.Body.DryRun))
			return &poisonRunOutput{run}, err
		})
	}
	look := reading("get-poison-run", "/v1/poison-runs/{run}", "How a redrive or discard goes; this server keeps the last hundred")
	look.Errors = append(look.Errors, http.StatusNotFound)
	huma.Register(api, look, func(ctx context.Context, in *poisonRunInput) (*poisonRunOutput, error) {
		if s.cfg.PoisonRuns == nil {
			return nil, absent(area)
		}
		run, err := s.cfg.PoisonRuns.Run(ctx, in.Run, time.Duration(in.Wait)*time.Second)
		return &poisonRunOutput{run}, err
	})
	stop := changing("stop-poison-run", "/v1/poison-runs/{run}/stop", "End a redrive or discard between two steps; begun again, it goes on with what is left")
	stop.Errors = append(stop.Errors, http.StatusNotFound)
	huma.Register(api, stop, func(ctx context.Context, in *poisonStopInput) (*poisonRunOutput, error) {
		if s.cfg.PoisonRuns == nil {
			return nil, absent(area)
		}
		run, err := s.cfg.PoisonRuns.Stop(ctx, in.Run)
		Note(ctx, slog.String("run", in.Run))
		return &poisonRunOutput{run}, err
	})
}
