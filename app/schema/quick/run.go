package quick

import (
	"context"
	"encoding/json"
	"math"
)

// DefaultMaxCost is what one validation may cost where nothing else is configured,
// in steps. BenchmarkStep measured 25 ns of a core for the worst, so 100 ms.
const DefaultMaxCost = 4_000_000

// Limits of one validation beside its cost.
const (
	maxNesting    = 4000    // schemas inside schemas; each takes about 1 KiB of stack
	maxRemembered = 1 << 16 // results; each takes about 50 bytes
	rememberAfter = 20_000  // steps; before that a table of results costs more than it saves
	pollEvery     = 40_000  // steps between two looks at the context, about 1 ms
)

// run is one validation: it counts what it costs, and ends when that is too much
// or when nobody waits for the answer any more.
//
// It has two modes. Without faults it decides: the first fault ends it. With
// faults it explains: it goes on and reports each fault.
type run struct {
	ctx  context.Context
	max  int64
	left int64 // steps
	poll int64 // where left is looked at again
	over bool  // ended by the cost or the context: no result counts
	deep bool  // by maxNesting
	gone error // the context's

	depth  int
	pure   bool // what a schema says of a value depends on nothing else
	known  map[result]bool
	scope  []*resource // with $dynamicRef: the documents on the way here
	faults *faults     // nil: the run decides
	bad    int         // faults so far, with those reported before
	path   []int       // to the value, where the run explains
	at     place
}

// result is the key of what one schema says of one value.
type result struct {
	rules *rules
	value any
}

func newRun(ctx context.Context, limit int64) *run {
	return &run{ctx: ctx, max: limit, left: limit, poll: max(0, limit-pollEvery)}
}

// unlimited is for what no client sends.
func unlimited() *run { return newRun(context.Background(), math.MaxInt64) }

// spend charges n steps, before they are done. False: the run has ended.
func (r *run) spend(n int) bool {
	r.left -= int64(n)
	return r.left >= r.poll || r.look()
}

func (r *run) look() bool {
	if !r.over && r.left >= 0 {
		if r.gone = r.ctx.Err(); r.gone == nil {
			r.poll = max(0, r.left-pollEvery)
			return true
		}
	}
	r.over, r.poll = true, math.MaxInt64
	return false
}

// textCost is what reading all of a text costs.
func textCost(s string) int { return len(s) / 64 }

func numberCost(v any) int {
	if n, ok := v.(json.Number); ok {
		return 4 + len(n)/16
	}
	return 0
}

// recall is what is known of s and v.
func (r *run) recall(s *rules, v any, seen *evaluated) (valid, known bool) {
	if r.faults != nil {
		return r.faults.recall(r, s, seen)
	}
	if r.known == nil || seen != nil || !memorable(s, v) {
		return false, false
	}
	valid, known = r.known[result{s, v}]
	return valid, known
}

// remember keeps a result, so that schemas that lead to each other on several ways
// take a time that is linear in the event and not exponential.
func (r *run) remember(s *rules, v any, seen *evaluated, valid bool) {
	if r.faults != nil {
		r.faults.remember(r, s, valid)
		return
	}
	if seen != nil || r.max-r.left < rememberAfter || !r.pure || len(r.known) >= maxRemembered || !memorable(s, v) || !r.spend(4) {
		return
	}
	if r.known == nil {
		r.known = map[result]bool{}
	}
	r.known[result{s, v}] = valid
}

// memorable says whether a result is worth its place: of a schema that several
// lead to, and that asks more than the value itself.
func memorable(s *rules, v any) bool {
	if !s.shared {
		return false
	}
	switch v := v.(type) {
	case *object, *array:
		return true
	case string:
		return s.combines && len(v) <= maxKey // a longer one takes a time to find
	}
	return s.combines
}
