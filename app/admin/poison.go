package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"eventserver/router/poison"
)

// Poison looks into the poison queues; poison.Service does. Requests ask it, many at
// once. An error that is not poison.ErrNotFound, ErrInvalid or ErrConflict answers 500.
type Poison interface {
	// List returns what is not settled, by destination, partition and offset.
	List(ctx context.Context, q poison.Query) (poison.Page, error)
	// Counts counts what is not settled.
	Counts(ctx context.Context, f poison.Filter) (poison.Counts, error)
	// Show returns the records of item, an event's id or partition:offset, those
	// that are settled too; of every destination with "". payload adds what they carry.
	Show(ctx context.Context, destination, item string, payload bool) (poison.Found, error)
}

// PoisonRuns change the poison queues. A run goes on by itself and is asked
// after: no request and no proxy waits as long as a redrive may take.
type PoisonRuns interface {
	// Begin starts a run for the caller named by, and waits for its end for a
	// moment.
	Begin(ctx context.Context, order poison.Order, by string) (poison.Run, error)
	// Run tells how a run goes, when it has ended or after wait.
	Run(ctx context.Context, id string, wait time.Duration) (poison.Run, error)
	// Stop ends a run between two of its steps, and waits for that.
	Stop(ctx context.Context, id string) (poison.Run, error)
}

// everyDestination stands in a path for a destination; no id looks like it.
const everyDestination = "-"

type (
	poisonPageOutput   struct{ Body poison.Page }
	poisonCountsOutput struct{ Body poison.Counts }
	poisonFoundOutput  struct{ Body poison.Found }
	poisonRunOutput    struct{ Body poison.Run }
	poisonOrderInput   struct{ Body poison.Order }
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
	register(api, list, func(ctx context.Context, in *poison.Query) (*poisonPageOutput, error) {
		if s.cfg.Poison == nil {
			return nil, absent(area)
		}
		page, err := s.cfg.Poison.List(ctx, *in)
		return &poisonPageOutput{page}, err
	})
	counts := reading("count-poison", "/v1/poison/counts", "How many items the poison queues have, by destination and reason")
	counts.Errors = append(counts.Errors, http.StatusNotFound)
	register(api, counts, func(ctx context.Context, in *poison.Filter) (*poisonCountsOutput, error) {
		if s.cfg.Poison == nil {
			return nil, absent(area)
		}
		c, err := s.cfg.Poison.Counts(ctx, *in)
		return &poisonCountsOutput{c}, err
	})
	show := reading("show-poison", "/v1/poison/{destination}/{item}", "All there is of an event in a poison queue, settled or not")
	show.Errors = append(show.Errors, http.StatusNotFound)
	register(api, show, func(ctx context.Context, in *poisonShowInput) (*poisonFoundOutput, error) {
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
		register(api, begin, func(ctx context.Context, in *poisonOrderInput) (*poisonRunOutput, error) {
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
	register(api, look, func(ctx context.Context, in *poisonRunInput) (*poisonRunOutput, error) {
		if s.cfg.PoisonRuns == nil {
			return nil, absent(area)
		}
		run, err := s.cfg.PoisonRuns.Run(ctx, in.Run, time.Duration(in.Wait)*time.Second)
		return &poisonRunOutput{run}, err
	})
	stop := changing("stop-poison-run", "/v1/poison-runs/{run}/stop", "End a redrive or discard between two steps; begun again, it goes on with what is left")
	stop.Errors = append(stop.Errors, http.StatusNotFound)
	register(api, stop, func(ctx context.Context, in *poisonStopInput) (*poisonRunOutput, error) {
		if s.cfg.PoisonRuns == nil {
			return nil, absent(area)
		}
		run, err := s.cfg.PoisonRuns.Stop(ctx, in.Run)
		Note(ctx, slog.String("run", in.Run))
		return &poisonRunOutput{run}, err
	})
}
