package poison

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/control"
	"eventserver/router/record"
)

const (
	leaseKind  = "redrive"        // of records in the control topic
	leaseStale = 30 * time.Second // without a sign of life for so long, a run is taken for killed
	leaseBeat  = 10 * time.Second
)

// Phases of a run, as its lease has them.
const (
	phaseStart = "start"
	phaseBeat  = "beat"
	phaseEnd   = "end"
)

// leaseRecord is a record of the control topic; its key is the destination.
type leaseRecord struct {
	Kind        string    `json:"kind"`
	Destination string    `json:"destination"`
	Run         string    `json:"run"`
	Phase       string    `json:"phase"`
	Action      string    `json:"action,omitempty"`
	By          string    `json:"by,omitempty"`
	At          time.Time `json:"at"`
	// From is where the destination's topic ended when all that the run had sent
	// was marked: what it sent without a mark is there or later.
	From map[int32]int64 `json:"from,omitempty"`
}

// holder is a run that has, or had, a lease.
type holder struct {
	leaseRecord           // its first
	last        time.Time // its last sign of life
}

// leases is what the records of one destination come to. Whoever reads them
// comes to the same, because only their order and what they say counts.
type leases struct {
	holder *holder
	killed []*holder // took no end, and what they sent was not looked up yet
}

func (l *leases) apply(r leaseRecord) {
	h := l.holder
	switch r.Phase {
	case phaseStart:
		if h != nil && r.At.Sub(h.last) < leaseStale {
			return // refused: its writer sees that too
		}
		if h != nil {
			l.killed = append(l.killed, h)
		}
		l.holder = &holder{leaseRecord: r, last: r.At}
	case phaseBeat:
		if h == nil || h.Run != r.Run {
			return // it was taken for killed
		}
		h.last, h.From = r.At, r.From
	case phaseEnd:
		if h != nil && h.Run == r.Run {
			l.holder = nil
		}
		l.killed = slices.DeleteFunc(l.killed, func(k *holder) bool { return k.Run == r.Run })
	}
}

// lease is one run's right to change a destination's poison queue.
type lease struct {
	s         *Service
	own       leaseRecord
	next      map[int32]int64 // the control topic is read up to there
	known     leases
	confirmed time.Time // when it was last known to be ours
}

// errLost ends a run that was taken for killed: another one may be under way.
var errLost = errors.New("this run gave no sign of life for too long and another one took its place; begin again when that has ended")

// acquire begins a run on a destination. The error is a Conflict while another
// one is under way.
func (s *Service) acquire(ctx context.Context, d, run, action, by string) (*lease, error) {
	if err := s.cfg.Broker.EnsureTopics(ctx, control.Topics()...); err != nil {
		return nil, fmt.Errorf("topic %s: %w", control.Topic, err)
	}
	l := &lease{s: s, own: leaseRecord{Kind: leaseKind, Destination: d, Run: run, Action: action, By: by}, next: map[int32]int64{}}
	if err := l.read(ctx); err != nil {
		return nil, err
	}
	if h := l.known.holder; h != nil && s.cfg.Now().Sub(h.last) < leaseStale {
		return nil, l.taken()
	}
	if err := l.tell(ctx, phaseStart); err != nil {
		return nil, err
	}
	if h := l.known.holder; h == nil || h.Run != run {
		return nil, l.taken()
	}
	return l, nil
}

func (l *lease) taken() error {
	h := l.known.holder
	if h == nil { // it ended this moment
		return conflict("another run of " + l.own.Destination + " has just ended; begin again")
	}
	now := l.s.cfg.Now()
	return conflict(fmt.Sprintf("%s %s of %s by %s is under way since %s, its last sign of life was %s ago; wait for its end (one that was killed gives way after %s)",
		h.Action, h.Run, l.own.Destination, h.By, stamp(h.At), max(now.Sub(h.last), 0).Round(time.Second), leaseStale))
}

// tell writes a record and reads what all of them come to.
func (l *lease) tell(ctx context.Context, phase string) error {
	r := l.own
	r.Phase, r.At = phase, l.s.cfg.Now()
	if l.own.Action == actionRedrive {
		var err error
		if r.From, err = l.s.ends(ctx, record.DestinationTopic(l.own.Destination)); err != nil {
			return err
		}
	}
	if err := l.publish(r); err != nil {
		return err
	}
	if err := l.read(ctx); err != nil {
		return err
	}
	l.confirmed = r.At
	return nil
}

func (l *lease) publish(r leaseRecord) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	msg := message.NewMessage(r.Run+":"+r.Phase, value)
	msg.Metadata[infra.MetaKey] = r.Destination
	return l.s.cfg.Publisher.Publish(control.Topic, msg)
}

// hold makes sure, before something is sent, that the lease is still ours. All
// that was sent before has its mark.
func (l *lease) hold(ctx context.Context) error {
	if l.s.cfg.Now().Sub(l.confirmed) < leaseBeat {
		return nil
	}
	if err := l.tell(ctx, phaseBeat); err != nil {
		return err
	}
	if h := l.known.holder; h == nil || h.Run != l.own.Run {
		return errLost
	}
	return nil
}

// end gives the lease back, or settles what a killed run left.
func (l *lease) end(run string) error {
	r := l.own
	r.Run, r.Phase, r.At = run, phaseEnd, l.s.cfg.Now()
	return l.publish(r)
}

// read follows the control topic.
func (l *lease) read(ctx context.Context) error {
	bounds, err := l.s.cfg.Broker.Bounds(ctx, control.Topic, time.Time{})
	if err != nil {
		return err
	}
	ranges := map[int32]infra.Range{}
	for p, b := range bounds {
		ranges[p] = infra.Range{From: max(l.next[p], b.Oldest), To: b.End}
	}
	return l.s.cfg.Broker.Scan(ctx, control.Topic, ranges, func(m *message.Message, _ time.Time) error {
		l.next[infra.Partition(m)] = infra.Offset(m) + 1
		var r leaseRecord
		if m.Metadata.Get(infra.MetaKey) == l.own.Destination && json.Unmarshal(m.Payload, &r) == nil && r.Kind == leaseKind {
			l.known.apply(r)
		}
		return nil
	})
}

// ends are where the partitions of a topic end now.
func (s *Service) ends(ctx context.Context, topic string) (map[int32]int64, error) {
	bounds, err := s.cfg.Broker.Bounds(ctx, topic, time.Time{})
	if err != nil {
		return nil, err
	}
	out := map[int32]int64{}
	for p, b := range bounds {
		out[p] = b.End
	}
	return out, nil
}
