package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Destinations is what can be seen of destinations and done to them. It is asked
// by requests, many at once. Its errors are huma's where the fault is the caller's.
type Destinations interface {
	// Destinations lists them in the order of the configuration.
	Destinations(ctx context.Context) ([]DestinationState, error)
	// Steer pauses or resumes, and returns when every attempt after it goes by that.
	Steer(ctx context.Context, s Steer) (SteerAnswer, error)
	// Retry makes attempts that wait be made now, and returns when every instance
	// that follows has been told.
	Retry(ctx context.Context, o RetryOrder) (RetryAnswer, error)
	// Replay sets one back, or counts what that would do.
	Replay(ctx context.Context, r ReplayOrder) (ReplayAnswer, error)
}

// Stuck tells what keeps single keys of a destination: the n that wait longest.
type Stuck interface {
	Stuck(id string, n int) []StuckKey
}

// stuckShown bounds the keys that one answer tells of.
const stuckShown = 20

// StuckKey is a key whose first unfinished event does not go through.
type StuckKey struct {
	Key      string     `json:"key" doc:"The user; empty: another program wrote the event without one"`
	EventID  string     `json:"event_id" doc:"The unfinished event that the key waits for"`
	Type     string     `json:"type"`
	Reason   string     `json:"reason" enum:"attempt,backoff,batch,breaker,broker,held,paused,rate_limit,slot" doc:"What that event waits for; backoff: its attempts fail"`
	Since    *time.Time `json:"since,omitempty" doc:"Begin of the wait of the key"`
	Attempts int        `json:"attempts" doc:"Number of attempts"`
	Counted  int        `json:"counted" doc:"Number of attempts that count towards the limit"`
	Limit    int        `json:"limit" doc:"Limit of attempts: retry.attempts"`
	Last     string     `json:"last,omitempty" doc:"Answer of the last attempt"`
	Next     *time.Time `json:"next,omitempty" doc:"Time when it continues"`
	Waiting  int        `json:"waiting" doc:"Number of events of the key that wait behind it"`
}

// DestinationState is what a destination looks like now. Numbers of attempts and
// of buffered messages and keys are those of the process that answers.
type DestinationState struct {
	ID            string         `json:"id"`
	Kind          string         `json:"kind"`
	State         string         `json:"state" enum:"running,held,paused,replaying,stopping,unknown" doc:"unknown: read from the broker alone, without a server"`
	Why           string         `json:"why" doc:"What keeps it from delivering, in words; empty: nothing"`
	Problems      []string       `json:"problems" doc:"What an operator should look at, in words; empty: nothing. A busy destination and a running attempt are no problem"`
	Paused        *Steered       `json:"paused,omitempty"`
	Replay        *Steered       `json:"replay,omitempty"`
	Breaker       BreakerState   `json:"breaker"`
	Hold          HoldState      `json:"hold"`
	Failing       *Failing       `json:"failing,omitempty" doc:"The last attempt failed; of the process that answers"`
	Poison        *int64         `json:"poison,omitempty" doc:"Unsettled items of its poison queue; absent: not known yet"`
	Lag           int64          `json:"lag" doc:"Events accepted and not finished, by the groups' commits"`
	Groups        []GroupLag     `json:"groups" doc:"The lag by stage"`
	Waits         string         `json:"transform_waits,omitempty" enum:"breaker,paused,held" doc:"Why the transform stage stores no more deliveries: enough of them wait already, and no attempt may start. Absent: it stores them"`
	Oldest        *time.Time     `json:"oldest,omitempty" doc:"When the oldest event was accepted that is not finished"`
	InFlight      int            `json:"in_flight" doc:"Running attempts"`
	Concurrency   int            `json:"concurrency" doc:"Maximum number of attempts at once"`
	Buffered      int            `json:"buffered" doc:"Messages read and not finished"`
	BlockedKeys   int            `json:"blocked_keys" doc:"Keys with a message that waits behind an unfinished one"`
	BlockedBy     map[string]int `json:"blocked_by,omitempty" doc:"Blocked keys by the reason of their first event's wait"`
	Stuck         []StuckKey     `json:"stuck,omitempty" doc:"The keys that wait longest; of one destination only, not in the list"`
	BlockedSince  *time.Time     `json:"blocked_since,omitempty" doc:"Begin of the wait of the longest-blocked key"`
	HasPartitions bool           `json:"has_partitions" doc:"This process has been given partitions to read"`
}

// Steered says who did something, when and why.
type Steered struct {
	By  string    `json:"by"`
	Why string    `json:"why,omitempty"`
	At  time.Time `json:"at"`
}

// BreakerState is what a circuit breaker looks like now.
type BreakerState struct {
	Open  bool       `json:"open"`
	Since *time.Time `json:"since,omitempty" doc:"When it opened"`
	Until *time.Time `json:"until,omitempty" doc:"Time of the next probe"`
	Cause string     `json:"cause,omitempty" doc:"The failure that opened it, or kept it open"`
}

// HoldState is what the hold of a destination looks like now that refuses one user after
// the other, or whose transformation fails for them.
type HoldState struct {
	Held  bool       `json:"held"`
	Stage string     `json:"stage,omitempty" enum:"transform,deliver" doc:"transform: its schema, filter or transformation fails. deliver: the receiver refuses. When both fail: deliver"`
	Since *time.Time `json:"since,omitempty" doc:"Begin"`
	Until *time.Time `json:"until,omitempty" doc:"Time of the next probe"`
	Cause string     `json:"cause,omitempty" doc:"The last answer, or failure of a transformation, that started or prolonged the hold"`
}

// Failing is a destination whose last attempts failed.
type Failing struct {
	Attempts int       `json:"attempts" doc:"In a row, since the last success"`
	Since    time.Time `json:"since" doc:"The first items"`
	Last     string    `json:"last" doc:"Error of the last one"`
}

// RetryOrder asks for attempts now.
type RetryOrder struct {
	ID  string `json:"-"`
	By  string `json:"-"`
	Key string `json:"key,omitempty" maxLength:"1024" doc:"Ordering key: end the backoff of this user. Without it: of all users. Both end a pause of the breaker or of a hold. With a key the probe is this user's event, if one waits"`
}

// RetryAnswer says what there was to end at the instance that answers. The others
// end theirs.
type RetryAnswer struct {
	ID       string `json:"id"`
	Pause    bool   `json:"pause" doc:"The breaker paused the destination, or it was held"`
	Backoffs int    `json:"backoffs" doc:"Events whose backoff ended"`
}

// GroupLag is the lag of one consumer group.
type GroupLag struct {
	Group    string `json:"group"`
	Topic    string `json:"topic"`
	Messages int64  `json:"messages"`
}

// Steer is a pause or its end.
type Steer struct {
	ID             string `json:"-"`
	Pause          bool   `json:"-"`
	By             string `json:"-"`
	Why            string `json:"why,omitempty" maxLength:"500" doc:"Reason of the pause, for other operators. A resume ignores it"`
	AcceptFailures bool   `json:"accept_failures,omitempty" doc:"For the end of a hold: failing events go to the poison queue until one succeeds. Without it, the next failure holds the destination again"`
	Absent         bool   `json:"absent,omitempty" doc:"Also for a destination that this server does not have: another program on the same broker may have it"`
}

// SteerAnswer says what was done.
type SteerAnswer struct {
	ID    string   `json:"id"`
	Ended []string `json:"ended,omitempty" doc:"What a resume ended: pause, hold (of the process that answers; the others end theirs) or replay; empty: nothing"`
}

// ReplayOrder asks for a replay.
type ReplayOrder struct {
	ID      string    `json:"-"`
	By      string    `json:"-"`
	Since   time.Time `json:"since" doc:"Events accepted at this time or later are sent again"`
	DryRun  bool      `json:"dry_run,omitempty" doc:"Count and change nothing"`
	Confirm *int64    `json:"confirm,omitempty" minimum:"0" doc:"The count of the dry run. Without it nothing is done"`
}

// ReplayAnswer is what a replay did, or would do.
type ReplayAnswer struct {
	ID         string            `json:"id"`
	Since      time.Time         `json:"since"`
	DryRun     bool              `json:"dry_run"`
	Events     int64             `json:"events" doc:"Finished events that are transformed again. The destination's types and filter apply"`
	Partitions []ReplayPartition `json:"partitions"`
	Gone       int64             `json:"gone" doc:"Maximum number of events before oldest_kept that are deleted. Deleted events after since cannot be replayed"`
	OldestKept *time.Time        `json:"oldest_kept,omitempty"`
}

// ReplayPartition is a partition that is set back.
type ReplayPartition struct {
	Partition int32 `json:"partition"`
	From      int64 `json:"from" doc:"Offset after the reset"`
	Next      int64 `json:"next" doc:"First offset that is not done"`
	Events    int64 `json:"events"`
}

// Reloading reads the configuration again.
type Reloading interface {
	// Reload makes the configuration of the server's file the one in force. Its
	// error says why nothing, or not everything, has changed.
	Reload(ctx context.Context, by string) (ReloadAnswer, error)
	// LastFailure is what the last reload failed of; nil: it succeeded, or there
	// was none. Signals reload too.
	LastFailure() *ReloadFailure
}

// ReloadFailure says why the file is not the configuration in force.
type ReloadFailure struct {
	At     time.Time `json:"at"`
	By     string    `json:"by" doc:"Who asked for the reload; SIGHUP: a signal"`
	Error  string    `json:"error" doc:"Every fault, with its line and cure"`
	Partly bool      `json:"partly,omitempty" doc:"Some of the changes are in force"`
}

// ReloadAnswer is what a reload changed.
type ReloadAnswer struct {
	Added     []string `json:"added"`
	Changed   []string `json:"changed"`
	Removed   []string `json:"removed"`
	Unchanged []string `json:"unchanged"`
	// Undelivered is by id.
	Undelivered map[string]int64 `json:"undelivered,omitempty" doc:"Undelivered events of removed destinations. They stay on the broker"`
	LogLevel    string           `json:"log_level,omitempty" doc:"The new run"`
	Schemas     bool             `json:"schemas" doc:"Schemas or their modes have changed"`
}

type (
	destinationPath struct {
		ID string `path:"id" maxLength:"64" doc:"Id of the destination"`
	}
	destinationsOutput struct {
		Body struct {
			Destinations []DestinationState `json:"destinations"`
			Removed      []Leftover         `json:"removed,omitempty" doc:"Destinations that are not in the configuration and still have data on the broker"`
			ReloadFailed *ReloadFailure     `json:"reload_failed,omitempty" doc:"The last reload of the configuration failed"`
		}
	}
	destinationOutput struct{ Body DestinationState }
	steerInput        struct {
		ID   string `path:"id" maxLength:"64" doc:"Id of the destination"`
		Body Steer  `required:"false"`
	}
	steerOutput struct{ Body SteerAnswer }
	retryInput  struct {
		ID   string     `path:"id" maxLength:"64" doc:"Id of the destination"`
		Body RetryOrder `required:"false"`
	}
	retryOutput struct{ Body RetryAnswer }
	replayInput struct {
		ID   string `path:"id" maxLength:"64" doc:"Id of the destination"`
		Body ReplayOrder
	}
	replayOutput struct{ Body ReplayAnswer }
	reloadOutput struct{ Body ReloadAnswer }
)

func (s *Server) destinationOperations(api huma.API) {
	register(api, reading("list-destinations", "/v1/destinations", "Every destination: its state, lag, breaker and what is stuck, and why in words"),
		func(ctx context.Context, _ *struct{}) (*destinationsOutput, error) {
			if s.cfg.Destinations == nil {
				return nil, absent("destinations")
			}
			all, err := s.cfg.Destinations.Destinations(ctx)
			out := &destinationsOutput{}
			out.Body.Destinations, out.Body.Removed = all, s.leftovers(ctx)
			if s.cfg.Reloading != nil {
				out.Body.ReloadFailed = s.cfg.Reloading.LastFailure()
			}
			return out, err
		})
	one := reading("get-destination", "/v1/destinations/{id}", "One destination")
	one.Errors = append(one.Errors, http.StatusNotFound)
	register(api, one, func(ctx context.Context, in *destinationPath) (*destinationOutput, error) {
		if s.cfg.Destinations == nil {
			return nil, absent("destinations")
		}
		all, err := s.cfg.Destinations.Destinations(ctx)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			if d.ID == in.ID {
				if s.cfg.Stuck != nil {
					d.Stuck = s.cfg.Stuck.Stuck(in.ID, stuckShown)
				}
				return &destinationOutput{d}, nil
			}
		}
		return nil, huma.Error404NotFound("there is no such destination; GET /v1/destinations lists them")
	})
	steer := func(id, path, summary string, pause bool) {
		op := changing(id, path, summary)
		op.Errors = append(op.Errors, http.StatusNotFound, http.StatusConflict)
		register(api, op, func(ctx context.Context, in *steerInput) (*steerOutput, error) {
			Note(ctx, slog.String("destination", in.ID), slog.String("why", in.Body.Why))
			if s.cfg.Destinations == nil {
				return nil, absent("destinations")
			}
			in.Body.ID, in.Body.By, in.Body.Pause = in.ID, CallerOf(ctx).Name, pause
			a, err := s.cfg.Destinations.Steer(ctx, in.Body)
			return &steerOutput{a}, err
		})
	}
	steer("pause-destination", "/v1/destinations/{id}/pause", "Hold back the attempts of a destination, at every instance and through restarts; events are accepted and kept for it", true)
	steer("resume-destination", "/v1/destinations/{id}/resume", "End a pause, a hold, or a replay that was cut short", false)
	retry := changing("retry-destination", "/v1/destinations/{id}/retry", "Make the attempts that wait now, at every instance: end a pause of the breaker and backoffs, for all users or one")
	retry.Errors = append(retry.Errors, http.StatusNotFound, http.StatusConflict)
	register(api, retry, func(ctx context.Context, in *retryInput) (*retryOutput, error) {
		Note(ctx, slog.String("destination", in.ID), slog.Bool("one_user", in.Body.Key != ""))
		if s.cfg.Destinations == nil {
			return nil, absent("destinations")
		}
		in.Body.ID, in.Body.By = in.ID, CallerOf(ctx).Name
		a, err := s.cfg.Destinations.Retry(ctx, in.Body)
		return &retryOutput{a}, err
	})
	replay := changing("replay-destination", "/v1/destinations/{id}/replay", "Send a destination again what was accepted since a time, or count it")
	replay.Errors = append(replay.Errors, http.StatusNotFound, http.StatusConflict)
	register(api, replay, func(ctx context.Context, in *replayInput) (*replayOutput, error) {
		Note(ctx, slog.String("destination", in.ID), slog.Time("since", in.Body.Since), slog.Bool("dry_run", in.Body.DryRun))
		if s.cfg.Destinations == nil {
			return nil, absent("destinations")
		}
		in.Body.ID, in.Body.By = in.ID, CallerOf(ctx).Name
		a, err := s.cfg.Destinations.Replay(ctx, in.Body)
		Note(ctx, slog.Int64("events", a.Events))
		return &replayOutput{a}, err
	})
	reload := changing("reload", "/v1/reload", "Read the server's configuration file again: destinations come, change and go without the others")
	reload.Errors = append(reload.Errors, http.StatusConflict)
	register(api, reload, func(ctx context.Context, _ *struct{}) (*reloadOutput, error) {
		if s.cfg.Reloading == nil {
			return nil, absent("reload")
		}
		a, err := s.cfg.Reloading.Reload(ctx, CallerOf(ctx).Name)
		if err != nil {
			return nil, err
		}
		Note(ctx, slog.Any("added", a.Added), slog.Any("changed", a.Changed), slog.Any("removed", a.Removed))
		return &reloadOutput{a}, nil
	})
}
