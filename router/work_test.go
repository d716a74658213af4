package router

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/routertest"
)

// tightOwner is the owner of a run, and notes what it is told.
type tightOwner struct {
	full bool
	did  []string
}

func (o *tightOwner) Made(_ *infra.Part, m *message.Message) bool {
	o.did = append(o.did, "made "+m.Metadata.Get(infra.MetaKey))
	return o.full
}

func (o *tightOwner) Store(out []infra.Output, _ ...*infra.Part) error {
	did := "stored"
	for _, m := range out {
		did += " " + m.Message.Metadata.Get(infra.MetaKey)
	}
	o.did = append(o.did, did)
	return nil
}

func (*tightOwner) Aside() {}

// All that a run came to was in memory before the first of it was stored.
func TestRunIsStoredInPartsWhereMemoryIsShort(t *testing.T) {
	for _, c := range []struct {
		full bool
		want []string
	}{
		{false, []string{"made a", "made b", "made c", "stored a b c"}},
		{true, []string{"made a", "stored a", "made b", "stored b", "made c", "stored c"}},
	} {
		t.Run(fmt.Sprint(c.full), func(t *testing.T) {
			m, err := metrics.New(prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			d := &Destination{Destination: &routertest.FuncDest{Name: "d"}, Timeout: time.Minute}
			tr := &transformer{dest: d, storing: newStoring(nil), stored: func(time.Time, error) {}, metrics: m.Destination("d", "fake", nil), waits: &runWaits{}, hold: newHold(d, routertest.Discard), ahead: &attempt.Backpressure{}}
			owner := &tightOwner{full: c.full}
			run := &infra.Run{RunOwner: owner}
			for _, key := range []string{"a", "b", "c"} {
				run.Parts = append(run.Parts, &infra.Part{Messages: []*message.Message{routertest.Record(key, key)}})
			}
			msg := message.NewMessage("", nil)
			msg.SetContext(infra.WithRun(context.Background(), run))
			if err := tr.handle(msg); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(owner.did, c.want) {
				t.Errorf("got %q, want %q", owner.did, c.want)
			}
		})
	}
}
