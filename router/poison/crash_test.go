package poison

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"eventserver/infra"
	"eventserver/router/record"
)

// A redrive is killed at each of its publishes, before, in the middle of and
// after its being stored, and the next one does the rest: nothing goes twice,
// nothing is lost, and each key keeps its order.
func TestKilledAtEveryPoint(t *testing.T) {
	const items, keys = 40, 5
	killed := 0
	for _, share := range []float64{0, 0.5, 1} {
		for point := 1; ; point++ {
			w := newWorld(t)
			want := map[string][]string{}
			for n := range items {
				key := fmt.Sprint("user", n%keys)
				stage := "deliver"
				if n%3 == 0 {
					stage = "transform"
				}
				w.put(item{id: fmt.Sprint("e", n), key: key, sequence: n, stage: stage})
				want[key] = append(want[key], fmt.Sprint("e", n))
			}
			k := &killer{pub: w.broker.Publisher(infra.Durable), share: share, left: point}
			s := w.service(k)
			fast := 1e6
			s.most = 5
			_, err := s.Begin(t.Context(), Order{Action: actionRedrive, All: true, Rate: &fast}, "ann")
			require.NoError(t, s.Close())
			over := !k.dead
			if !over {
				killed++
			}
			before := len(w.all("dest.d"))
			w.pass(leaseStale)
			s = w.service(nil)
			run := redrive(t, s, Order{})
			assert.Equal(t, want, w.redriven(), "killed at publish %d, with %.1f of it stored (%v)", point, share, err)
			assert.Empty(t, w.waiting(s))
			assert.Equal(t, items-before, run.Redriven)
			require.NoError(t, s.Close())
			if over {
				break
			}
		}
	}
	assert.Greater(t, killed, 40)
}

// Redrives, discards and kills in any order, against a model: whatever happened,
// an item is in the end redriven once or discarded once.
func TestRunsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		keys := []string{"", "ada", "bob", "cy"}
		next := 0
		filters := rapid.Custom(func(t *rapid.T) Filter {
			f := Filter{Key: rapid.SampledFrom(keys).Draw(t, "key")}
			if rapid.Bool().Draw(t, "class?") {
				f.Class = rapid.SampledFrom([]string{record.ClassPipeline, record.ClassReceiver}).Draw(t, "class")
			}
			if rapid.IntRange(0, 9).Draw(t, "id?") == 0 {
				f.EventID = fmt.Sprint("e", rapid.IntRange(0, 20).Draw(t, "id"))
			}
			return f
		})
		s := w.service(nil)
		defer func() { _ = s.Close() }()
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				for range rapid.IntRange(1, 8).Draw(t, "items") {
					stage, reason := "deliver", "age"
					if rapid.Bool().Draw(t, "transform") {
						stage, reason = "transform", "schema"
					}
					w.put(item{id: fmt.Sprint("e", next), key: rapid.SampledFrom(keys[1:]).Draw(t, "key"), sequence: rapid.IntRange(0, 99).Draw(t, "sequence"),
						stage: stage, reason: reason, redrives: rapid.IntRange(0, 4).Draw(t, "redrives")})
					next++
				}
			default:
				o := Order{Action: rapid.SampledFrom([]string{actionRedrive, actionRedrive, actionDiscard}).Draw(t, "action"), Filter: filters.Draw(t, "filter"),
					Limit: rapid.IntRange(0, 3).Draw(t, "limit"), Force: rapid.Bool().Draw(t, "force"), DryRun: rapid.IntRange(0, 5).Draw(t, "dry") == 0}
				if rapid.Bool().Draw(t, "killed") {
					k := &killer{pub: w.broker.Publisher(infra.Durable), share: rapid.Float64Range(0, 1).Draw(t, "share"), left: rapid.IntRange(1, 8).Draw(t, "at")}
					victim := w.service(k)
					_, _ = do(victim, o)
					require.NoError(t, victim.Close())
					if k.dead {
						w.pass(leaseStale)
					}
					continue
				}
				already := map[string]int{}
				for key, ids := range w.redriven() {
					already[key] = len(ids)
				}
				waiting := len(w.waiting(s))
				run, err := do(s, o)
				require.NoError(t, err)
				require.Equal(t, stateDone, run.State, run.Error)
				settled := run.Redriven + run.Discarded + run.Skipped + run.Recovered
				if o.DryRun {
					settled = 0
				}
				require.Equal(t, waiting-settled, len(w.waiting(s)))
				checkOrder(t, w, run.ID)
			}
		}
		redrive(t, s, Order{Force: true})
		require.Empty(t, w.waiting(s))
		checkOnce(t, w, next)
	})
}

// checkOrder: what one run redrove of a key is in the order of its events.
func checkOrder(t require.TestingT, w *world, run string) {
	last := map[string]int64{}
	for _, m := range w.all("dest.d") {
		if r, _ := record.DecodeRedrive(m); r.Run != run {
			continue
		}
		d, err := record.DecodeDelivery("d", m)
		require.NoError(t, err)
		if before, ok := last[d.Key]; ok {
			require.LessOrEqual(t, before, d.Sequence, d.Key)
		}
		last[d.Key] = d.Sequence
	}
}

// checkOnce: every item is on the destination's topic once, or discarded, and
// its marks say which.
func checkOnce(t require.TestingT, w *world, items int) {
	sent := map[string]int{}
	for _, m := range w.all("dest.d") {
		sent[m.Metadata["ce_id"]]++
	}
	marks := map[string][]string{}
	for _, m := range w.all("poison.d") {
		if mark, is := record.DecodeMark(m); is && !slices.Contains(marks[mark.EventID], mark.Kind) {
			marks[mark.EventID] = append(marks[mark.EventID], mark.Kind)
		}
	}
	for n := range items {
		id := fmt.Sprint("e", n)
		require.Len(t, marks[id], 1, id)
		want := 0
		if marks[id][0] == record.MarkRedriven {
			want = 1
		}
		require.Equal(t, want, sent[id], "%s is %s", id, marks[id][0])
	}
}

// A run that was stopped for long, and goes on, finds that another one took its
// place before it sends anything.
func TestWhoSleptTooLongSendsNothing(t *testing.T) {
	w := newWorld(t)
	w.put(item{id: "a1", key: "ada"}, item{id: "a2", key: "ada"})
	slept := w.service(nil)
	asleep := make(chan struct{})
	wake := make(chan struct{})
	n := 0
	w.put(item{id: "b1", key: "ada", stage: "transform"})
	slept.cfg.Again = func() (f againFunc) {
		was := slept.cfg.Again
		return func(ctx ctx, d string, m msg, r record.Redrive) (msg, error) {
			if n++; n == 1 {
				close(asleep)
				<-wake
			}
			return was(ctx, d, m, r)
		}
	}()
	ended := make(chan Run)
	go func() {
		run, _ := do(slept, Order{Action: actionRedrive})
		ended <- run
	}()
	<-asleep
	w.pass(time.Minute)
	other := w.service(nil)
	assert.Equal(t, 3, redrive(t, other, Order{}).Redriven)
	close(wake)
	run := <-ended
	assert.Equal(t, stateFailed, run.State)
	assert.Contains(t, run.Error, "another one took its place")
	assert.Equal(t, map[string][]string{"ada": {"a1", "a2", "b1"}}, w.redriven())
	require.NoError(t, slept.Close())
	require.NoError(t, other.Close())
}
