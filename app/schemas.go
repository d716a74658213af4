package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"eventserver/app/config"
	"eventserver/app/schema"
	"eventserver/app/textfile"
	"eventserver/metrics"
	"eventserver/router"
)

// loadPolicy reads the schemas that the configuration names; nil when it names
// none. The error lists every fault, with file and line.
func loadPolicy(cfg *config.Config) (*schema.Policy, error) {
	c := cfg.Schemas
	if c == nil {
		return nil, nil
	}
	registry, err := schema.Load(c.Dir)
	var gone *os.PathError
	if _, statErr := os.Stat(c.Dir); errors.As(statErr, &gone) {
		return nil, fmt.Errorf("schemas.dir: %s cannot be read: %w; give the directory of the schemas", c.Dir, gone.Err)
	}
	if err != nil {
		return nil, err
	}
	var errs []error
	known := func(key, typ string) {
		if _, ok := registry.Lookup(typ); !ok && typ != "" {
			errs = append(errs, fmt.Errorf("%s: there is no schema of type %q in %s%s", key, typ, c.Dir, nearestType(registry, typ)))
		}
	}
	modes := map[string]schema.Mode{}
	for _, typ := range slices.Sorted(maps.Keys(c.Types)) {
		modes[typ] = schema.Mode(c.Types[typ])
		known(fmt.Sprintf("schemas.types[%q]", typ), typ)
	}
	for i, d := range cfg.Destinations {
		known(fmt.Sprintf("destinations[%d].schema", i), d.Schema)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return schema.NewPolicy(schema.PolicyConfig{Registry: registry, Mode: schema.Mode(c.Mode), Modes: modes, RejectUnknown: c.Unknown == "reject", MaxCost: int64(c.MaxCost)})
}

// nearestType is the cure for a type without a schema.
func nearestType(r *schema.Registry, typ string) string {
	var types []string
	for _, s := range r.Schemas() {
		types = append(types, s.Type)
	}
	if near := textfile.Nearest(typ, types, 1+len(typ)/4); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	if len(types) == 0 {
		return ", which has none; write one, or delete this"
	}
	const most = 20
	more := ""
	if len(types) > most {
		types, more = types[:most], " and others"
	}
	return "; write one of " + strings.Join(types, ", ") + more
}

// SchemaWarnings is what is doubtful in the schemas that a configuration names.
func SchemaWarnings(cfg *config.Config) ([]*textfile.Fault, error) {
	p, err := loadPolicy(cfg)
	if p == nil || err != nil {
		return nil, err
	}
	return p.Registry().Warnings(), nil
}

// warnOf logs what is doubtful in the schemas, in one line however many they are:
// `check` lists each.
func warnOf(p *schema.Policy, log *slog.Logger) {
	all := p.Registry().Warnings()
	if len(all) == 0 {
		return
	}
	w := all[0]
	log.Warn("schemas may cost much; `eventserver check` lists each place", slog.Int("places", len(all)),
		slog.String("file", w.File), slog.Int("line", w.Line), slog.String("path", w.Path), slog.String("what", w.Msg))
}

// Places where an event is held against its schema; the label stage.
const (
	stageIngest = "ingest"
	stageInput  = "input"
	stageOutput = "output"
)

// contract is a policy that counts. The nil contract judges nothing.
type contract struct {
	policy  atomic.Pointer[schema.Policy]
	metrics *metrics.Metrics
}

func newContract(p *schema.Policy, m *metrics.Metrics) *contract {
	c := &contract{metrics: m}
	c.use(p)
	return c
}

// contractOf is that of a program beside the server: what it counts, nobody
// scrapes. nil where the configuration has no schemas.
func contractOf(cfg *config.Config) (*contract, error) {
	policy, err := loadPolicy(cfg)
	if policy == nil || err != nil {
		return nil, err
	}
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	return newContract(policy, m), nil
}

// use judges by p from now on. It also makes the series of every type, so that
// each is zero from the start.
func (c *contract) use(p *schema.Policy) {
	m := c.metrics
	defer c.policy.Store(p)
	types := []string{unknownType}
	for _, s := range p.Registry().Schemas() {
		types = append(types, s.Type)
	}
	for _, stage := range []string{stageIngest, stageInput, stageOutput} {
		for _, typ := range types {
			for _, mode := range []schema.Mode{schema.Enforce, schema.Warn} {
				m.SchemaViolations.WithLabelValues(stage, typ, string(mode))
			}
		}
	}
}

// unknownType is the label of types without a schema: clients choose types.
const unknownType = "unknown"

func (c *contract) count(stage, typ string, refused bool) {
	if _, ok := c.policy.Load().Registry().Lookup(typ); !ok {
		typ = unknownType
	}
	mode := schema.Warn
	if refused {
		mode = schema.Enforce
	}
	c.metrics.SchemaViolations.WithLabelValues(stage, typ, string(mode)).Inc()
}

// Check implements http.Contract.
func (c *contract) Check(ctx context.Context, typ string, data []byte, spent *schema.Spent) (*schema.Violation, bool, error) {
	v, refused, err := c.policy.Load().Check(ctx, typ, data, spent)
	if v != nil {
		c.count(stageIngest, typ, refused)
	}
	return v, refused, err
}

// Key implements http.Contract.
func (c *contract) Key(typ string, data []byte, given string) (string, *schema.Violation, bool) {
	key, v, refused := c.policy.Load().Key(typ, data, given)
	if v != nil {
		c.count(stageIngest, typ, refused)
	}
	return key, v, refused
}

// at is the router's check at a stage.
func (c *contract) at(stage string) router.Check {
	return func(ctx context.Context, typ string, data []byte) (string, error) {
		v, refused, err := c.policy.Load().Check(ctx, typ, data, nil)
		switch {
		case err != nil:
			return "", err
		case v == nil:
			return "", nil
		case refused:
			c.count(stage, typ, true)
			return "", v
		default:
			c.count(stage, typ, false)
			return v.Place(), nil
		}
	}
}

// bind has a destination look at what it takes and what it makes.
func (c *contract) bind(d *router.Destination, output string) {
	if c == nil {
		return
	}
	d.Input = c.at(stageInput)
	if output != "" {
		d.Output, d.OutputType = c.at(stageOutput), output
	}
}
