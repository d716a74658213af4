package quick

import (
	"context"
	"eventserver/app/schema/tree"
	"fmt"
	"math"
)

// Validator checks JSON against one compiled schema. It is safe for parallel use.
type Validator struct {
	root    *rules
	dynamic bool              // has $dynamicRef
	names   map[string]string // spellings of the declared properties
	Drop    map[string]bool   // members of the top that are not validated
}

// Rules of a refusal that are no keywords of JSON Schema.
const (
	RuleJSON = "json"
	RuleCost = "schema.cost"
	RuleKey  = "x-event.key"
)

// Refusal is what is wrong with an event.
type Refusal struct {
	Pointer string // as Violation's
	Rule    string
	Detail  string
	Others  int    // how many more faults there are
	Name    string // of the member that is missing, of a schema
}

// Check returns the first thing that is wrong with data.
// It costs at most maxCost steps, or what is left of those of the request. The
// error is the context's.
func (v *Validator) Check(ctx context.Context, data []byte, maxCost int64, spent *Meter) (*Refusal, error) {
	doc, bad := decode(data, v.names, v.Drop)
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
	return &Refusal{
		Pointer: tree.Bounded(p.pointer(doc)),
		Rule:    p.rule,
		Detail:  tree.Cut(r.detail(p, doc)+r.closest(p, doc), tree.MaxDetail),
		Others:  found.n - 1,
	}, r.gone
}

func (v *Validator) run(ctx context.Context, limit int64) *run {
	r := newRun(ctx, limit)
	r.pure = !v.dynamic
	return r
}

// ended says why a run has no result.
func (r *run) ended(maxCost int64) (*Refusal, error) {
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
	return &Refusal{Rule: RuleCost, Detail: detail}, nil
}

// All is everything that is wrong with a document that no client sends.
func (v *Validator) All(root *tree.Value) (list []Refusal) {
	doc := nodeOf(root)
	r := v.run(context.Background(), math.MaxInt64)
	var found []*problem
	r.explain(v.root, doc, nil, func(p *problem) { found = append(found, p) })
	for _, p := range found {
		list = append(list, Refusal{Pointer: p.pointer(doc), Rule: p.rule, Detail: r.detail(p, doc), Name: p.name})
	}
	return list
}
