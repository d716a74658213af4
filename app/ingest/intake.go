package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"eventserver/app/ingest/budget"
	"eventserver/app/ingest/envelope"
	"eventserver/metrics"
)

// intake is a request for events whose body has been read, and what it has of the
// memory for requests.
type intake struct {
	body  []byte
	share *budget.Share
	kept  bool // whoever still uses the memory gives it back
	// client is the name of its key; "": there are no keys.
	client string
}

// guard is what every event-accepting path does first. The memory of a request is
// charged as its body grows, to the one budget of all requests. It takes the slot
// of a request in flight when the body is there, so that slow clients take none
// from the others.
//
// The slot is free again, and the memory but for that of the answer, when next
// returns: a client that does not read its answer holds neither.
func (s *Server) guard(next func(*http.Request, *intake) (answer, *Problem)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client, p := s.authorize(r)
		if p == nil {
			p = s.page(r)
		}
		if p != nil {
			p.unread = r.ContentLength != 0
			s.refuse(w, p)
			return
		}
		in := &intake{share: s.budget.Share(), client: client}
		defer func() {
			if !in.kept {
				in.share.Release()
			}
		}()
		if in.body, p = s.body(w, r, in.share); p != nil {
			p.unread = r.ContentLength != 0
			s.refuseClient(w, in, p)
			return
		}
		a, p := s.answer(r, in, next)
		if p != nil {
			s.refuseClient(w, in, p)
			return
		}
		a.write(w)
	}
}

// answer has next answer in a slot.
func (s *Server) answer(r *http.Request, in *intake, next func(*http.Request, *intake) (answer, *Problem)) (a answer, p *Problem) {
	s.connections.Busy(r)
	defer s.connections.Waits(r)
	if !take(s.inFlight) {
		return answer{}, busy(http.StatusTooManyRequests, "too many requests are in flight; send again after the given time", time.Second)
	}
	defer func() { <-s.inFlight }()
	a, p = next(r, in)
	in.body = nil
	if !in.kept {
		in.share.Keep(budget.RequestCost + headerCost(r.Header) + budget.Buffer(len(a.body)))
	}
	return a, p
}

// refuseClient is refuse for a request whose client is known.
func (s *Server) refuseClient(w http.ResponseWriter, in *intake, p *Problem) {
	if in.client != "" {
		s.cfg.Metrics.ClientRejected.WithLabelValues(in.client).Inc()
	}
	s.refuse(w, p)
}

func take(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// decode charges what the events of the body take, and calls f, which decodes and
// judges them. The memory of decoding itself is given back afterwards.
func (s *Server) decode(in *intake, md map[string]string, f func(envelope.Measure) *Problem) *Problem {
	m := envelope.Count(in.body)
	shape := budget.Shape{Bytes: len(in.body), Events: min(max(m.Events, 1), s.cfg.MaxBatchEvents+1), Batch: m.Batch,
		EventBytes: m.EventBytes, Members: m.Members, NameBytes: m.NameBytes, Values: m.Values,
		Metadata: len(md), Schemas: s.cfg.Contract != nil}
	for name, value := range md {
		shape.MetadataBytes += len(name) + len(value)
	}
	if int64(m.EventBytes) > s.cfg.MaxEventBytes { // it is refused before it is decoded
		return f(m)
	}
	work := shape.Decoding()
	if err := in.share.Grow(work + shape.Decoded()); err != nil {
		return s.noMemory(err)
	}
	defer in.share.Shrink(work)
	return f(m)
}

// headerCost is what the head of a request takes, parsed.
func headerCost(h http.Header) (n int64) {
	for name, values := range h {
		for _, v := range values {
			n += budget.HeaderCost + int64(len(name)+len(v))
		}
	}
	return n
}

// noMemory answers a request for which Share.Grow had nothing.
func (s *Server) noMemory(err error) *Problem {
	if errors.Is(err, budget.ErrNever) {
		return problem(http.StatusRequestEntityTooLarge, metrics.RejectTooLarge,
			fmt.Sprintf("this request alone takes more memory than memory has for one, of which %d bytes are for requests; send fewer or simpler events at once", s.budget.Total()))
	}
	return busy(http.StatusTooManyRequests, fmt.Sprintf("the requests under way use all the memory for requests (half of memory, %d bytes); send again after the given time", s.budget.Total()), time.Second)
}
