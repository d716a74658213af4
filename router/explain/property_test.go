package explain

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/destinations"
	"eventserver/router"
	"eventserver/router/attempt"
)

// Whatever happens to events, and whenever one asks: what is said to be
// delivered the receiver has, and in the end the other way round too.
func TestNeverContradictsTheReceiver(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		seed := uint64(time.Now().UnixNano()) + uint64(round)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { contradictions(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func contradictions(t *testing.T, dice *rand.Rand) {
	type fate struct {
		fails int   // attempts that fail
		final error // then; nil: taken
	}
	var mu sync.Mutex
	fates := map[string]*fate{}
	d := &receiver{id: "d"}
	d.answers = func(del destinations.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		f := fates[del.EventID]
		if f.fails > 0 {
			f.fails--
			if f.fails%3 == 0 {
				return destinations.Unavailable(errors.New("answer 503"))
			}
			return errors.New("answer 500")
		}
		return f.final
	}
	dest := router.Destination{Destination: d, Concurrency: 1 + dice.IntN(4), Types: []string{"t", "skipped", "broken"},
		Retry: attempt.Retry{Initial: time.Millisecond, Max: 3 * time.Millisecond, Attempts: 3}, Breaker: attempt.Breaker{Initial: time.Millisecond, Max: 5 * time.Millisecond}}
	if dice.IntN(3) == 0 {
		dest.Rate = attempt.RateLimit{PerSecond: 2000, Burst: 1}
	}
	r := newRig(t, dest)

	var ids []string
	publish := func() {
		for range 1 + dice.IntN(30) {
			id := fmt.Sprintf("e%d", len(ids))
			f := &fate{}
			switch dice.IntN(6) {
			case 0:
				f.fails = 1 + dice.IntN(5)
			case 1:
				f.final = destinations.Permanent(errors.New("answer 400"))
			case 2:
				f.final = destinations.ErrSkip
			}
			mu.Lock()
			fates[id] = f
			mu.Unlock()
			typ := []string{"t", "t", "t", "t", "skipped", "broken", "unwanted"}[dice.IntN(7)]
			r.store(id, fmt.Sprintf("u%d", dice.IntN(4)), typ)
			ids = append(ids, id)
		}
	}
	began := time.Now().Add(-time.Second)
	ask := func(id string) DestinationExplanation {
		out, err := r.explain.Explain(t.Context(), Question{ID: id, Since: began})
		require.NoError(t, err)
		got := out.Destinations[0]
		if got.State == StateDelivered {
			mu.Lock()
			skips := fates[id].final == destinations.ErrSkip
			mu.Unlock()
			assert.True(t, d.has(id) || skips && got.DeliveredAt.IsZero(), "%s is said to be delivered: %+v", id, got)
		}
		if got.Behind != nil {
			assert.NotEqual(t, id, got.Behind.EventID, "%+v", got)
		}
		return got
	}
	for range 3 + dice.IntN(4) {
		publish()
		for range dice.IntN(20) {
			ask(ids[dice.IntN(len(ids))])
		}
		switch dice.IntN(5) {
		case 0:
			r.pipeline.Pause("d", router.Note{By: "dice"})
		case 1:
			r.pipeline.Resume("d")
		case 2:
			r.stop()
			ask(ids[dice.IntN(len(ids))])
			r.run(dest)
		}
	}
	r.pipeline.Resume("d")
	final := map[string]bool{StateDelivered: true, StatePoisoned: true, StateFiltered: true, StateNothing: true}
	ends := func(id string) (got DestinationExplanation) {
		require.Eventually(t, func() bool { got = ask(id); return final[got.State] }, 20*time.Second, time.Millisecond, "%s: %+v", id, &got)
		return got
	}
	for _, id := range ids {
		ends(id)
	}
	for _, id := range ids { // asked again by another process, which remembers nothing and goes by the commits
		r.explain.cfg.Live = nil
		got := ends(id)
		if d.has(id) != (got.State == StateDelivered) && fates[id].final != destinations.ErrSkip {
			t.Errorf("%s: the receiver has it: %t; it is said to be %+v", id, d.has(id), got)
		}
	}
}
