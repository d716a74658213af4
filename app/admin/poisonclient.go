package admin

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"eventserver/router/poison"
)

// PoisonClient is Poison and PoisonRuns of another process, through its API. Who
// asks is known by the token.
type PoisonClient struct{ *Client }

var (
	_ Poison     = PoisonClient{}
	_ PoisonRuns = PoisonClient{}
)

func poisonQuery(f poison.Filter) url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"destination": f.Destination, "reason_class": f.Class, "reason": f.Reason, "type": f.Type,
		"key": f.Key, "event_id": f.EventID, "position": f.Position, "since": f.Since, "until": f.Until} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// List implements Poison.
func (c PoisonClient) List(ctx context.Context, q poison.Query) (page poison.Page, err error) {
	v := poisonQuery(q.Filter)
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.After != "" {
		v.Set("after", q.After)
	}
	err = c.Get(ctx, "/v1/poison", v, &page)
	return page, err
}

// Counts implements Poison.
func (c PoisonClient) Counts(ctx context.Context, f poison.Filter) (counts poison.Counts, err error) {
	err = c.Get(ctx, "/v1/poison/counts", poisonQuery(f), &counts)
	return counts, err
}

// Show implements Poison.
func (c PoisonClient) Show(ctx context.Context, destination, item string, payload bool) (found poison.Found, err error) {
	v := url.Values{}
	if destination == "" {
		destination = everyDestination
	}
	if payload {
		v.Set("payload", "true")
	}
	err = c.Get(ctx, "/v1/poison/"+url.PathEscape(destination)+"/"+url.PathEscape(item), v, &found)
	return found, err
}

// Begin implements PoisonRuns.
func (c PoisonClient) Begin(ctx context.Context, order poison.Order, _ string) (run poison.Run, err error) {
	action := order.Action
	order.Action = ""
	err = c.Post(ctx, "/v1/poison/"+action, order, &run)
	return run, err
}

// Run implements PoisonRuns.
func (c PoisonClient) Run(ctx context.Context, id string, wait time.Duration) (run poison.Run, err error) {
	err = c.Get(ctx, "/v1/poison-runs/"+url.PathEscape(id), url.Values{"wait": {strconv.Itoa(int(wait / time.Second))}}, &run)
	return run, err
}

// Stop implements PoisonRuns.
func (c PoisonClient) Stop(ctx context.Context, id string) (run poison.Run, err error) {
	err = c.Post(ctx, "/v1/poison-runs/"+url.PathEscape(id)+"/stop", nil, &run)
	return run, err
}
