package poison

import (
	"encoding/json"
	"time"
)

// Filter says which items are meant. What is empty narrows nothing.
type Filter struct {
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

// Query is a filter and which page of the answer.
type Query struct {
	Filter
	Limit int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Maximum number of items in the answer"`
	After string `query:"after" doc:"next of the page before"`
}

// Item is a record of a poison queue.
type Item struct {
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

// Page is a part of a list.
type Page struct {
	Items []Item `json:"items"`
	Next  string `json:"next,omitempty" doc:"Where the next page begins, for after; absent on the last page"`
}

// Count is how many items have a reason.
type Count struct {
	Class  string `json:"reason_class"`
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// Total is what a destination's poison queue has.
type Total struct {
	Destination string    `json:"destination"`
	Count       int       `json:"count"`
	Oldest      time.Time `json:"oldest,omitzero" doc:"When the oldest of them was given up"`
	Newest      time.Time `json:"newest,omitzero" doc:"When the newest of them was given up"`
	Reasons     []Count   `json:"reasons"`
}

// Counts counts by destination and reason.
type Counts struct {
	Count        int     `json:"count"`
	Destinations []Total `json:"destinations"`
}

// Mark says that a record is settled, and how.
type Mark struct {
	Mark     string    `json:"mark" doc:"redriven, discarded, or skipped: transformed again, and no longer wanted"`
	By       string    `json:"by"`
	Run      string    `json:"run"`
	At       time.Time `json:"at,omitzero"`
	Position string    `json:"position" doc:"partition:offset of the mark"`
}

// Record is an item with all there is of it.
type Record struct {
	Item
	Settled    *Mark             `json:"settled,omitempty" doc:"Absent while it waits for an operator"`
	Headers    map[string]string `json:"headers" doc:"The record's headers; those of the event's context and of the payload with payload=true alone"`
	Data       json.RawMessage   `json:"data,omitempty" doc:"Its payload, with payload=true, when that is JSON"`
	DataBase64 []byte            `json:"data_base64,omitempty" doc:"Its payload, with payload=true, when that is no JSON"`
	Gone       string            `json:"gone,omitempty" doc:"With left_out: why the source no longer has it; absent where the source has it"`
}

// Found is what Show found, the oldest first: an event that was redriven
// and given up again is there twice.
type Found struct {
	Records []Record `json:"records"`
}

// Order says what a run is to do with what.
type Order struct {
	Filter
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

// Problem is an item that a run left where it is.
type Problem struct {
	Destination string `json:"destination"`
	Position    string `json:"position"`
	EventID     string `json:"event_id,omitempty"`
	Why         string `json:"why"`
}

// Run is how a run goes.
type Run struct {
	ID           string    `json:"run"`
	Action       string    `json:"action"`
	By           string    `json:"by"`
	DryRun       bool      `json:"dry_run"`
	State        string    `json:"state" enum:"running,done,failed,stopped"`
	Error        string    `json:"error,omitempty" doc:"Why it failed"`
	Started      time.Time `json:"started"`
	Ended        time.Time `json:"ended,omitzero"`
	Destinations []string  `json:"destinations"`
	Matched      int       `json:"matched" doc:"Items that matched the filter so far"`
	Redriven     int       `json:"redriven" doc:"Redriven items; with dry_run: items that would be redriven"`
	Discarded    int       `json:"discarded"`
	Skipped      int       `json:"skipped" doc:"Transformed again, and no longer wanted by the destination: settled"`
	Failed       int       `json:"failed" doc:"Left in the queue: the transformation failed again, the record is larger than the broker takes, or its body is deleted"`
	Refused      int       `json:"refused" doc:"Left in the queue: redriven max_redrives times before"`
	Behind       int       `json:"behind" doc:"Left in the queue because an earlier item of their key was left"`
	Recovered    int       `json:"recovered" doc:"Items that a killed run sent, and this run marked"`
	First        []Item    `json:"first,omitempty" doc:"With dry_run: the first items"`
	Problems     []Problem `json:"problems,omitempty" doc:"The first items that were left, and why"`
}
