package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Forgetting is what can be done with destinations that were removed from the
// configuration. Its errors are huma's where the fault is the caller's.
type Forgetting interface {
	// Leftovers are those that still hold something, by id.
	Leftovers(ctx context.Context) ([]Leftover, error)
	// Forget deletes what one has left, or counts what that would lose.
	Forget(ctx context.Context, o ForgetOrder) (ForgetAnswer, error)
}

// Leftover is a destination that was removed from the configuration and still has
// something on the broker.
type Leftover struct {
	ID          string `json:"id"`
	Undelivered int64  `json:"undelivered" doc:"Undelivered events"`
	Poison      int64  `json:"poison" doc:"Unsettled items of its poison queue"`
}

// ForgetOrder asks to delete what a removed destination has left.
type ForgetOrder struct {
	ID      string `json:"-"`
	By      string `json:"-"`
	Poison  bool   `json:"poison,omitempty" doc:"Its poison queue too, which otherwise stays"`
	DryRun  bool   `json:"dry_run,omitempty" doc:"Count and change nothing"`
	Confirm *int64 `json:"confirm,omitempty" minimum:"0" doc:"The field lost of the dry run. Without it nothing is done"`
}

// ForgetAnswer is what was deleted, or would be.
type ForgetAnswer struct {
	Leftover
	DryRun bool  `json:"dry_run"`
	Lost   int64 `json:"lost" doc:"Events that the command deletes: undelivered ones, and with poison those of the poison queue"`
}

type (
	forgetInput struct {
		ID   string `path:"id" maxLength:"64" doc:"Id of the destination"`
		Body ForgetOrder
	}
	forgetOutput struct{ Body ForgetAnswer }
)

func (s *Server) forgetOperations(api huma.API) {
	op := changing("forget-destination", "/v1/destinations/{id}/forget", "Delete the consumer groups and the topic of a destination that was removed from the configuration, or count what that would lose")
	op.Errors = append(op.Errors, http.StatusNotFound, http.StatusConflict)
	register(api, op, func(ctx context.Context, in *forgetInput) (*forgetOutput, error) {
		Note(ctx, slog.String("destination", in.ID), slog.Bool("poison", in.Body.Poison), slog.Bool("dry_run", in.Body.DryRun))
		if s.cfg.Forgetting == nil {
			return nil, absent("destinations")
		}
		in.Body.ID, in.Body.By = in.ID, CallerOf(ctx).Name
		a, err := s.cfg.Forgetting.Forget(ctx, in.Body)
		Note(ctx, slog.Int64("lost", a.Lost))
		return &forgetOutput{a}, err
	})
}

// leftovers are those that the broker tells of in a moment; else none.
func (s *Server) leftovers(ctx context.Context) []Leftover {
	const patience = 2 * time.Second
	if s.cfg.Forgetting == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := s.cfg.Forgetting.Leftovers(ctx)
	if err != nil {
		return nil
	}
	return all
}
