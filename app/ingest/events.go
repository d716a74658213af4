package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/oklog/ulid/v2"

	"eventserver/app/ingest/budget"
	"eventserver/app/ingest/envelope"
	"eventserver/app/schema"
	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/record"
)

func (s *Server) limits() envelope.Limits {
	return envelope.Limits{MaxEvents: s.cfg.MaxBatchEvents, MaxEventBytes: int(s.cfg.MaxEventBytes)}
}

type (
	acceptedOne struct {
		ID string `json:"id"`
	}
	acceptedMany struct {
		IDs []string `json:"ids"`
	}
)

// postEvents is POST /v1/events: one event or an array of them.
func (s *Server) postEvents(r *http.Request, in *intake) (answer, *Problem) {
	began := time.Now()
	md := s.metadata(r)
	var events []destinations.Event
	var batch bool
	p := s.decode(in, md, func(m envelope.Measure) *Problem {
		envs, isBatch, err := envelope.ParseCounted(in.body, m, s.limits())
		if err != nil {
			return invalid(err)
		}
		batch = isBatch
		now := time.Now().UTC()
		events = make([]destinations.Event, len(envs))
		var spent schema.Spent
		for i, e := range envs {
			events[i] = Event(e, now)
			events[i].Metadata = md
			if p := s.judge(r.Context(), &events[i], e.Key != "", &spent); p != nil {
				if batch {
					p.Index = &i
					p.Detail = fmt.Sprintf("[%d]: %s", i, p.Detail)
				}
				return p
			}
		}
		return nil
	})
	if p == nil {
		p = s.store(r, in, events)
	}
	if p != nil {
		return answer{}, p
	}
	s.accepted(in, len(events), began, md)
	if !batch {
		return jsonAnswer(http.StatusAccepted, acceptedOne{events[0].ID}), nil
	}
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	return jsonAnswer(http.StatusAccepted, acceptedMany{ids}), nil
}

// postPublish is POST /publish of the original event-server, with its answers.
func (s *Server) postPublish(r *http.Request, in *intake) (answer, *Problem) {
	began := time.Now()
	md := s.metadata(r)
	var e destinations.Event
	p := s.decode(in, md, func(envelope.Measure) *Problem {
		user, _, err := envelope.ParsePublish(in.body, s.limits())
		if err != nil {
			return invalid(err)
		}
		e = Event(envelope.Envelope{Key: user, Raw: in.body}, time.Now().UTC())
		e.Metadata = md
		return s.judge(r.Context(), &e, true, nil)
	})
	if p == nil {
		p = s.store(r, in, []destinations.Event{e})
	}
	if p != nil {
		return answer{}, p
	}
	s.accepted(in, 1, began, md)
	return jsonAnswer(http.StatusOK, map[string]string{"message": "received"}), nil
}

// Event is the event that a posted object becomes. What the client left out is
// filled in; an event without a key has no order to keep, so its id spreads it
// over the partitions.
func Event(e envelope.Envelope, received time.Time) destinations.Event {
	ev := destinations.Event{ID: e.ID, Type: e.Type, Source: e.Source, Key: e.Key, Time: e.Time, ReceivedAt: received,
		ContentType: "application/json", Data: e.Raw}
	if ev.ID == "" {
		ev.ID = ulid.Make().String()
	}
	if ev.Key == "" {
		ev.Key = ev.ID
	}
	return ev
}

func (s *Server) accepted(in *intake, n int, began time.Time, md map[string]string) {
	if in.client != "" {
		s.cfg.Metrics.ClientAccepted.WithLabelValues(in.client).Add(float64(n))
	}
	s.cfg.Metrics.Accepted.Add(float64(n))
	s.cfg.Metrics.AcceptDur.Observe(time.Since(began).Seconds(), md["traceparent"])
}

func invalid(err error) *Problem {
	p := problem(http.StatusBadRequest, metrics.RejectInvalid, err.Error())
	var f *envelope.Fault
	if !errors.As(err, &f) {
		return p
	}
	if f.TooLarge {
		p = problem(http.StatusRequestEntityTooLarge, metrics.RejectTooLarge, err.Error())
	}
	p.Field = f.Field
	if f.Index >= 0 {
		p.Index = &f.Index
	}
	return p
}

type messageKey struct{}

// fromContext gives the subscriber the message that the front has made.
func fromContext(_ string, r *http.Request) (*message.Message, error) {
	msg, ok := r.Context().Value(messageKey{}).(*message.Message)
	if !ok {
		return nil, errors.New("request did not come through the front")
	}
	return msg, nil
}

// store hands the events to Watermill's subscriber and waits until they are
// acked. A client that goes away does not end it: half a batch would be stored.
// What the broker still has when the time is up keeps its memory until then.
func (s *Server) store(r *http.Request, in *intake, events []destinations.Event) *Problem {
	store, ok := s.inner.paths[r.URL.Path]
	if !ok {
		return busy(http.StatusServiceUnavailable, "the server is starting; send the events again", time.Second)
	}
	msg := record.EncodeIngest(events)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.cfg.PublishTimeout)
	defer cancel()
	answer := &verdict{}
	store(answer, r.WithContext(context.WithValue(ctx, messageKey{}, msg)))
	if answer.status >= 200 && answer.status < 300 {
		return nil
	}
	detail := "the events could not be stored; send them again with the same ids"
	if ctx.Err() != nil {
		in.kept = true
		go s.settle(msg, in.share)
		detail = "the broker did not answer in time; send the events again with the same ids"
	}
	return busy(http.StatusServiceUnavailable, detail, 2*time.Second)
}

// settle gives the memory of a request back when its message is settled, or the
// server stops.
func (s *Server) settle(msg *message.Message, share *budget.Share) {
	defer share.Release()
	select {
	case <-msg.Acked():
	case <-msg.Nacked():
	case <-s.stopped:
	}
}

// verdict is the response that the subscriber writes: a status, nothing else.
type verdict struct {
	status int
	header http.Header
}

func (v *verdict) Header() http.Header {
	if v.header == nil {
		v.header = http.Header{}
	}
	return v.header
}
func (v *verdict) WriteHeader(status int) {
	if v.status == 0 {
		v.status = status
	}
}
func (v *verdict) Write(b []byte) (int, error) { v.WriteHeader(http.StatusOK); return len(b), nil }
