package app

import (
	"context"
	"errors"
	"time"

	"eventserver/app/admin"
	"eventserver/infra"
)

// Tail implements admin.Tailing.
func (s steering) Tail(ctx context.Context, q admin.TailQuestion) (*admin.Tail, error) {
	c := TailConfig{Type: q.Type, Key: q.Key, Destination: q.Destination, Poison: q.Poison, From: q.From, Count: q.Count,
		JSON: q.Format != admin.TailText, Width: q.Width, Bare: !q.Payload}
	from, err := c.check(time.Now(), "")
	if err != nil {
		return nil, admin.Invalid(err.Error())
	}
	t, err := c.tailing(ctx, tailSourceOf(s.app.broker, s.app.cfg), from)
	if errors.Is(err, infra.ErrNoTopic) {
		return nil, admin.NotFound(err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &admin.Tail{TailStarted: admin.TailStarted{Topic: t.name, Partitions: len(t.ranges)}, Run: t.run}, nil
}

// Question is what a server's admin API is asked.
func (c TailConfig) Question() admin.TailQuestion {
	q := admin.TailQuestion{Type: c.Type, Key: c.Key, Destination: c.Destination, Poison: c.Poison, From: c.From, Count: c.Count,
		Format: admin.TailText, Width: c.Width, Payload: !c.Bare}
	if c.JSON {
		q.Format = admin.TailJSON
	}
	return q
}
