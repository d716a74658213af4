package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/oklog/ulid/v2"

	"eventserver/app/http/envelope"
	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router"
)

// guard is what every event-accepting path does first. It takes the slot of a
// request in flight when the body is there, so that slow clients, readingFactor
// times as many, take none from the others.
func (s *Server) guard(next func(http.ResponseWriter, *http.Request, []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, check := range []func(*http.Request) *Problem{s.authorize, s.page} {
			if p := check(r); p != nil {
				s.refuse(w, p)
				return
			}
		}
		body, p := s.read(w, r)
		if p != nil {
			s.refuse(w, p)
			return
		}
		if !take(s.inFlight) {
			s.refuse(w, tooMany())
			return
		}
		defer func() { <-s.inFlight }()
		next(w, r, body)
	}
}

func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	if !take(s.reading) {
		return nil, tooMany()
	}
	defer func() { <-s.reading }()
	return s.body(w, r)
}

func take(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func tooMany() *Problem {
	return busy(http.StatusTooManyRequests, "too many requests are in flight; send again after the given time", time.Second)
}

func (s *Server) limits() envelope.Limits {
	return envelope.Limits{MaxEvents: s.cfg.MaxBatchEvents, MaxEventBytes: int(s.cfg.MaxEventBytes)}
}

// postEvents is POST /v1/events: one event or an array of them.
func (s *Server) postEvents(w http.ResponseWriter, r *http.Request, body []byte) {
	began := time.Now()
	envs, batch, err := envelope.Parse(body, s.limits())
	if err != nil {
		s.refuse(w, invalid(err))
		return
	}
	now := time.Now().UTC()
	events := make([]destinations.Event, len(envs))
	md := s.metadata(r)
	for i, e := range envs {
		events[i] = Event(e, now)
		events[i].Metadata = md
		if p := s.judge(&events[i], e.Key != ""); p != nil {
			if batch {
				p.Index = &i
				p.Detail = fmt.Sprintf("[%d]: %s", i, p.Detail)
			}
			s.refuse(w, p)
			return
		}
	}
	if p := s.store(r, events); p != nil {
		s.refuse(w, p)
		return
	}
	s.accepted(len(events), began, md)
	if !batch {
		writeJSON(w, http.StatusAccepted, map[string]string{"id": events[0].ID})
		return
	}
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	writeJSON(w, http.StatusAccepted, map[string][]string{"ids": ids})
}

// postPublish is POST /publish of the original event-server, with its answers.
func (s *Server) postPublish(w http.ResponseWriter, r *http.Request, body []byte) {
	began := time.Now()
	user, _, err := envelope.ParsePublish(body, s.limits())
	if err != nil {
		s.refuse(w, invalid(err))
		return
	}
	e := Event(envelope.Envelope{Key: user, Raw: body}, time.Now().UTC())
	e.Metadata = s.metadata(r)
	if p := s.judge(&e, true); p != nil {
		s.refuse(w, p)
		return
	}
	if p := s.store(r, []destinations.Event{e}); p != nil {
		s.refuse(w, p)
		return
	}
	s.accepted(1, began, e.Metadata)
	writeJSON(w, http.StatusOK, map[string]string{"message": "received"})
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

func (s *Server) accepted(n int, began time.Time, md map[string]string) {
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
func (s *Server) store(r *http.Request, events []destinations.Event) *Problem {
	msg := router.EncodeIngest(events)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.cfg.PublishTimeout)
	defer cancel()
	answer := &verdict{}
	s.inner.ServeHTTP(answer, r.WithContext(context.WithValue(ctx, messageKey{}, msg)))
	if answer.status >= 200 && answer.status < 300 {
		return nil
	}
	detail := "the events could not be stored; send them again with the same ids"
	if ctx.Err() != nil {
		detail = "the broker did not answer in time; send the events again with the same ids"
	}
	return busy(http.StatusServiceUnavailable, detail, 2*time.Second)
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
