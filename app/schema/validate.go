package schema

import (
	"context"
	"eventserver/app/schema/tree"
	"fmt"
	"math"
)

// validator checks JSON against one compiled schema. It is safe for parallel use.
type validator struct {
	root    *rules
	dynamic bool              // has $dynamicRef
	names   map[string]string // spellings of the declared properties
	drop    map[string]bool   // members of the top that are not validated
}

// Rules of a refusal that are no keywords of JSON Schema.
const (
	ruleJSON = "json"
	ruleCost = "schema.cost"
	ruleKey  = "x-event.key"
)

// refusal is what is wrong with an event.
type refusal struct {
	pointer string // as Violation's
	rule    string
	detail  string
	others  int    // how many more faults there are
	name    string // of the member that is missing, of a schema
}

// check returns the first thing that is wrong with data.
// It costs at most maxCost steps, or what is left of those of the request. The
// error is the context's.
func (v *validator) check(ctx context.Context, data []byte, maxCost int64, spent *meter) (*refusal, error) {
	doc, bad := decode(data, v.names, v.drop)
	if bad != nil {
		return bad, nil
	}
	r := v.run(ctx, spent.limit(maxCost))
	defer func() { spent.add(r) }()
	if v.root.ok(r, doc, nil) {
		return nil, nil
	}
	if r.over {
		return r.ended(maxCost)
	}
	found := r.explain(v.root, doc, nil, nil)
	p := found.first
	if p == nil {
		return r.ended(maxCost)
	}
	// Where the steps end in the explanation, what it has found is told.
	return &refusal{
		pointer: tree.Bounded(p.pointer(doc)),
		rule:    p.rule,
		detail:  tree.Cut(r.detail(p, doc)+r.closest(p, doc), tree.MaxDetail),
		others:  found.n - 1,
	}, r.gone
}

func (v *validator) run(ctx context.Context, limit int64) *run {
	r := newRun(ctx, limit)
	r.pure = !v.dynamic
	return r
}

// ended says why a run has no result.
func (r *run) ended(maxCost int64) (*refusal, error) {
	if r.gone != nil {
		return nil, r.gone
	}
	detail := fmt.Sprintf("the check of the event against its schema takes more than %d steps; send a smaller event, simplify the schema, or raise schemas.max_cost", maxCost)
	switch {
	case r.max < maxCost:
		detail = fmt.Sprintf("the checks of the events of this request take more than %d steps together; send fewer in one request, or raise schemas.max_cost", requestCosts*maxCost)
	case r.deep:
		detail = fmt.Sprintf("the check of the event leads through more than %d schemas, each inside the one before; nest the event less, or flatten the schema", maxNesting)
	}
	return &refusal{rule: ruleCost, detail: detail}, nil
}

// all is everything that is wrong with a document that no client sends.
func (v *validator) all(root *tree.Value) (list []refusal) {
	doc := nodeOf(root)
	r := v.run(context.Background(), math.MaxInt64)
	var found []*problem
	r.explain(v.root, doc, nil, func(p *problem) { found = append(found, p) })
	for _, p := range found {
		list = append(list, refusal{pointer: p.pointer(doc), rule: p.rule, detail: r.detail(p, doc), name: p.name})
	}
	return list
}
