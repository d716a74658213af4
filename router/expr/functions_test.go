package expr

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"eventserver/destinations"
)

// scale is by how much the events and the limits of the test are smaller than
// those of a server, for the time that it takes.
const scale = 16

// shapes are events whose members a and b are as large as ingestion lets them be.
var shapes = []struct{ name, a, b string }{
	{"text and a word of it", quoted(strings.Repeat("a", 700_000/scale)), quoted(strings.Repeat("a", 200_000/scale) + "b")},
	{"text and a letter", quoted(strings.Repeat("a", 900_000/scale)), `"a"`},
	{"characters of two bytes", quoted(strings.Repeat("é", 400_000/scale)), `""`},
	{"short text", `"a"`, `"a"`},
	{"numbers", list(100_000/scale, "%d"), list(20_000/scale, "-%d.5")},
	{"texts", list(60_000/scale, `"text %d"`), `"` + strings.Repeat(",", 100) + `"`},
	{"objects", list(40_000/scale, `{"k":[%d]}`), list(10_000/scale, `{"k":[-%d]}`)},
	{"an object", wide(30_000 / scale), wide(28_000 / scale)},
	{"nested lists", strings.Repeat("[", 50) + list(100_000/scale, "%d") + strings.Repeat("]", 50), "30"},
	{"long numbers", strings.Repeat("9", 500_000/scale), "0." + strings.Repeat("1", 400_000/scale)},
	{"a pattern", quoted(strings.Repeat("a", 500_000/scale)), `"((a?){9}){9}b"`},
	{"a long pattern", quoted(strings.Repeat("a", 500_000/scale)), quoted(strings.Repeat("(a?){9}", 20_000/scale))},
	{"a format", quoted(strings.Repeat("%s", 1000/scale)), `[` + strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("x", 800)+`",`, 1000/scale), ",") + `]`},
	{"an exact format", quoted(strings.Repeat("%.100f", 1000/scale)), list(1000/scale, "%d.5")},
	{"JSON", quoted(`{\"a\":` + strings.ReplaceAll(list(60_000/scale, "{}"), `"`, `\"`) + `}`), "1"},
}

func quoted(s string) string { return `"` + s + `"` }

func wide(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

// operand is an expression of type t over member a or b of the event.
func operand(t *types.Type, member string) string {
	dyn := "event.data." + member
	switch t.Kind() {
	case types.TimestampKind:
		return "event.time"
	case types.DurationKind:
		return "(event.received_at - event.time)"
	case types.BytesKind:
		return "bytes(" + dyn + ")"
	case types.TypeKind:
		return "type(" + dyn + ")"
	case types.IntKind:
		return "size(" + dyn + ")"
	case types.BoolKind:
		return "has(" + dyn + ")"
	case types.OpaqueKind:
		return "optional.of(" + dyn + ")"
	case types.DoubleKind:
		return "1.5"
	case types.UintKind:
		return "7u"
	}
	return dyn
}

// calls gives an expression for each overload of a function that an expression
// can call by name, or by its sign.
func calls(t *testing.T, name string, fn interface {
	OverloadDecls() []*decls.OverloadDecl
}) []string {
	t.Helper()
	var out []string
	for _, o := range fn.OverloadDecls() {
		var args []string
		for i, typ := range o.ArgTypes() {
			args = append(args, operand(typ, string("ab"[min(i, 1)])))
		}
		src := name + "(" + strings.Join(args, ", ") + ")"
		switch sign := strings.ReplaceAll(strings.Trim(name, "_@"), "_", ""); {
		case strings.HasPrefix(name, "_") && len(args) == 2, name == "@in", name == "in":
			src = args[0] + " " + sign + " " + args[1]
		case name == "!_" || name == "-_":
			src = name[:1] + args[0]
		case name == "math.@max":
			src = "math.greatest(" + strings.Join(args, ", ") + ")"
		case name == "math.@min":
			src = "math.least(" + strings.Join(args, ", ") + ")"
		case name == "@sortByAssociatedKeys":
			src = "event.data.a.sortBy(x, x)"
		case name == rangeCall:
			src = "event.data.a.exists(x, x == 'no')"
		case name == "cel.@mapInsert":
			src = "event.data.a.transformMap(k, v, v)"
		case o.IsMemberFunction():
			src = args[0] + "." + name + "(" + strings.Join(args[1:], ", ") + ")"
		}
		if !slices.Contains(out, src) {
			out = append(out, src)
		}
	}
	return out
}

// Each function of the environment, with arguments as large as an event may be
// and called as often as a run may: the run ends, and what it has allocated is
// bounded. The functions are those that CEL lists, so none is forgotten.
func TestEveryFunctionIsBounded(t *testing.T) {
	e, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	var events []destinations.Event
	for _, s := range shapes {
		data := fmt.Sprintf(`{"data":{"a":%s,"b":%s}}`, s.a, s.b)
		if len(data) > DefaultEventBytes/scale || !json.Valid([]byte(data)) {
			t.Fatalf("%s: %d bytes, valid: %v", s.name, len(data), json.Valid([]byte(data)))
		}
		ev := event()
		ev.Data = []byte(data)
		events = append(events, ev)
	}
	tested := 0
	for name, fn := range e.env.Functions() {
		if f := table()[name]; f.node || f.refused != "" {
			continue
		}
		for _, src := range calls(t, name, fn) {
			p := scaled(t, e, "lists.range(10000).map(i, lists.range(10000).map(j, "+src+")).size() == 0")
			tested++
			for i, ev := range events {
				if testing.Short() && i != tested%len(events) { // one of the shapes for each call
					continue
				}
				allocated := allocatedBy(func() { _, err = p.run(t.Context(), &ev, true, nil) })
				if err == nil {
					t.Errorf("%s with %s: 100 million calls were made", src, shapes[i].name)
				}
				if allocated > 64<<20/scale {
					t.Errorf("%s with %s: %d KiB allocated, %v", src, shapes[i].name, allocated>>10, err)
				}
			}
		}
	}
	if tested < 100 {
		t.Errorf("only %d calls were tried", tested)
	}
}

// scaled compiles src with smaller limits.
func scaled(t *testing.T, e *environment, src string) *program {
	t.Helper()
	p, err := compile(src, 0)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	p.limits.work /= scale
	p.limits.alloc /= scale
	checked, iss := e.env.Compile(src)
	if iss.Err() != nil {
		t.Fatal(iss.Err())
	}
	if p.prg, err = e.env.Program(checked, append(slices.Clone(e.options), cel.CostLimit(maxSteps/scale))...); err != nil {
		t.Fatal(err)
	}
	return p
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A function that reads all of a value charges for all of it. A function of
// constant cost is named here.
func TestEveryFunctionChargesForWhatItReads(t *testing.T) {
	constantCost := []string{"dyn", "type", "optional.of", "optional.none", "optional.unwrap", "unwrapOpt", "hasValue", "value", "first", "last",
		"slice", "startsWith", "charAt", "substring", "lists.range"}
	e, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("9", 40_000)
	for name := range e.env.Functions() {
		f := table()[name]
		if f.node || f.refused != "" || slices.Contains(constantCost, name) || strings.HasPrefix(name, "math.") || strings.HasPrefix(name, "_") ||
			strings.ContainsAny(name, "@!-") || name == "in" || timeFields[name] || name == "format" {
			continue
		}
		charged := 0
		for _, args := range [][]ref.Val{
			{types.String(big)}, {types.String(big), types.String(big)}, {types.String(big), types.String("9"), types.String(big)},
			{types.Bytes(big)}, {types.NewStringList(types.DefaultTypeAdapter, make([]string, 40_000))}, {number(big)},
			{types.NewStringList(types.DefaultTypeAdapter, make([]string, 2000)), types.NewStringList(types.DefaultTypeAdapter, []string{"other"})},
			{types.NewStringList(types.DefaultTypeAdapter, make([]string, 2000)), types.NewStringList(types.DefaultTypeAdapter, make([]string, 2000))},
			{types.NewStringList(types.DefaultTypeAdapter, []string{""}), types.NewStringList(types.DefaultTypeAdapter, make([]string, 2000))},
		} {
			m := &meter{limits: limits{work: 1 << 40, alloc: 1 << 40, result: 1 << 30, event: 1 << 30}}
			func() {
				defer func() {
					if _, refused := recover().(interpreter.EvalCancelledError); refused { // for its size
						charged = len(big)
					}
				}()
				if f.own != nil {
					f.own(m, args)
				}
				if f.price != nil {
					f.price(m, args)
				}
			}()
			charged = max(charged, m.work)
		}
		if charged < len(big)/16 {
			t.Errorf("%s charges %d ns for %d bytes", name, charged, len(big))
		}
	}
}
