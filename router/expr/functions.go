package expr

import (
	"math"
	"math/bits"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// function is what this package adds to a function of CEL. newEnvironment refuses
// an environment with a function that is not in the table, so that none can come
// in that no limit reaches.
type function struct {
	// price charges for a call before it is made, by its arguments.
	price func(m *meter, args []ref.Val)
	// own replaces CEL's implementation, and charges itself. It gets numbers as
	// they are written.
	own func(m *meter, args []ref.Val) ref.Val
	// moves says that CEL's implementation passes numbers on without computing.
	moves bool
	// node says that CEL evaluates it by a node of its own, of constant cost, and
	// not by a call.
	node bool
	// refused says why an expression must not call it.
	refused string
}

const (
	// loadZone is what it costs to read a time zone, in ns.
	loadZone = 30_000
	maxZone  = 64
)

var (
	constant = function{}
	moved    = function{moves: true}
	node     = function{node: true}
)

func own(f func(*meter, []ref.Val) ref.Val) function   { return function{own: f} }
func priced(f func(m *meter, args []ref.Val)) function { return function{price: f} }

// reads is the price of reading text at work/64 ns a byte and allocating
// alloc bytes for each.
func reads(work, alloc int) function {
	return priced(func(m *meter, args []ref.Val) {
		for _, a := range args {
			if n := textLen(a); n > free {
				m.charge(n*work/64, n*alloc)
			}
		}
	})
}

func textLen(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	}
	return 0
}

// parses is the price of making a value of text.
func parses(m *meter, args []ref.Val) {
	for _, a := range args {
		if n := textLen(a); n > maxParsed {
			m.must(limitf("a text of %d bytes becomes a number, a time or a truth value; at most %d", n, maxParsed))
		}
	}
	m.charge(500+12*textLen(args[0]), 2*textLen(args[0])) // 1h1m1s1h1m1s... took 11 ns a byte
}

func parsesDouble(m *meter, args []ref.Val) {
	parses(m, args)
	if s, ok := args[0].(types.String); ok {
		m.charge(floatWork(string(s)), 0)
	}
}

func zone(m *meter, args []ref.Val) {
	if len(args) < 2 {
		return
	}
	if n := textLen(args[1]); n > maxZone {
		m.must(limitf("a time zone of %d bytes; at most %d", n, maxZone))
	}
	m.charge(loadZone, 16<<10)
}

// table has every function of the environment.
func table() map[string]function {
	t := map[string]function{
		// Evaluated by nodes, not by calls.
		operators.LogicalAnd: node, operators.LogicalOr: node, operators.Conditional: node,
		operators.Index: node, operators.OptIndex: node, operators.OptSelect: node,
		operators.NotStrictlyFalse: node, "__not_strictly_false__": node,
		"or": node, "orValue": node, "cel.@block": node,

		operators.Equals:    own(func(m *meter, a []ref.Val) ref.Val { return equalVal(m, a[0], a[1]) }),
		operators.NotEquals: own(func(m *meter, a []ref.Val) ref.Val { return types.Bool(!equal(m, a[0], a[1], 0)) }),
		operators.In:        own(in), operators.OldIn: own(in), "in": own(in),
		operators.Less:          ordered(func(c int) bool { return c < 0 }),
		operators.LessEquals:    ordered(func(c int) bool { return c <= 0 }),
		operators.Greater:       ordered(func(c int) bool { return c > 0 }),
		operators.GreaterEquals: ordered(func(c int) bool { return c >= 0 }),
		operators.Add:           {price: add, own: addOwn},
		operators.Subtract:      constant, operators.Multiply: constant, operators.Divide: constant, operators.Modulo: constant,
		operators.Negate: constant, operators.LogicalNot: constant,

		"dyn": moved, "type": moved, "optional.none": constant, "optional.of": moved, "optional.ofNonZeroValue": {moves: true, price: func(m *meter, a []ref.Val) { chargeNumber(m, a[0]) }},
		"hasValue": {own: hasValue, moves: true}, "value": moved, "first": moved, "last": moved,
		"optional.unwrap": {moves: true, price: listCopy}, "unwrapOpt": {moves: true, price: listCopy},
		"cel.@mapInsert": own(mapInsert), rangeCall: own(loopRange),

		"bool": priced(parses), "int": priced(parses), "uint": priced(parses), "double": priced(parsesDouble),
		"duration": priced(parses), "timestamp": priced(parses),
		"string": {own: toString, price: toStringPrice}, "bytes": reads(32, 3),
		"size": {price: func(m *meter, a []ref.Val) { m.charge(3*textLen(a[0]), 0) }, moves: true},

		"startsWith": reads(8, 0), "endsWith": reads(8, 0),
		"contains": reads(128, 0), "indexOf": own(indexOf), "lastIndexOf": own(lastIndexOf),
		"charAt": own(charAt), "substring": own(substring),
		"lowerAscii": reads(640, 6), "upperAscii": reads(640, 6), "trim": reads(64, 0),
		"reverse": priced(func(m *meter, a []ref.Val) {
			if n := textLen(a[0]); n > 0 {
				m.charge(12*n, 6*n)
				return
			}
			listCopy(m, a)
		}),
		"replace": {price: replacePrice}, "split": {price: splitPrice}, "join": own(join),
		"format": {price: formatPrice}, "strings.quote": reads(1024, 6), "matches": {price: matchesPrice},

		"distinct": own(distinct), "flatten": {price: flattenPrice, moves: true}, "slice": {price: listCopy, moves: true},
		"sort": own(sortList), "@sortByAssociatedKeys": own(sortList),
		"lists.range": priced(func(m *meter, a []ref.Val) {
			if n, ok := a[0].(types.Int); ok && n > 0 && n <= maxRange {
				m.charge(10*int(n), 32*int(n))
			}
		}),
		"sets.contains": own(setContains), "sets.equivalent": own(setEquivalent), "sets.intersects": own(setIntersects),
		"hasAll": own(setContains), "hasExactly": own(setEquivalent), "hasAny": own(setIntersects),
		"hasOnly": own(func(m *meter, a []ref.Val) ref.Val { return setContains(m, []ref.Val{a[1], a[0]}) }),

		"math.@max": own(func(m *meter, a []ref.Val) ref.Val { return extreme(m, a, 1) }),
		"math.@min": own(func(m *meter, a []ref.Val) ref.Val { return extreme(m, a, -1) }),

		"base64.decode": reads(256, 2), "base64.decodeUrl": reads(256, 2), "base64.encode": reads(128, 3), "base64.encodeUrl": reads(128, 3),
		"json.encode": own(jsonEncode), "json.parse": own(jsonParse),
		"yaml.encode": {refused: "yaml.encode is not supported; write json.encode"},
		"yaml.parse":  {refused: "yaml.parse is not supported, since a few bytes of YAML may stand for any number of values; send JSON and write json.parse"},
	}
	for _, name := range []string{"abs", "bitAnd", "bitNot", "bitOr", "bitShiftLeft", "bitShiftRight", "bitXor", "ceil", "floor",
		"isFinite", "isInf", "isNaN", "round", "sign", "sqrt", "trunc"} {
		t["math."+name] = constant
	}
	for name := range timeFields {
		t[name] = priced(zone)
	}
	return t
}

// timeFields are the functions that take a time zone.
var timeFields = map[string]bool{
	"getDate": true, "getDayOfMonth": true, "getDayOfWeek": true, "getDayOfYear": true, "getFullYear": true,
	"getHours": true, "getMilliseconds": true, "getMinutes": true, "getMonth": true, "getSeconds": true,
}

func in(m *meter, args []ref.Val) ref.Val {
	if len(args) != 2 {
		return types.NoSuchOverloadErr()
	}
	switch c := args[1].(type) {
	case traits.Mapper:
		_, found := c.Find(m.compute(args[0]))
		return types.Bool(found)
	case traits.Lister:
		return contains(m, c, args[0])
	}
	return types.MaybeNoSuchOverloadErr(args[1])
}

// ordered is a comparison.
func ordered(holds func(c int) bool) function {
	return own(func(m *meter, a []ref.Val) ref.Val {
		if c, ok := compare(m, a[0], a[1]); ok {
			return types.Bool(holds(c))
		}
		for _, v := range a {
			if d, ok := v.(types.Double); ok && math.IsNaN(float64(d)) {
				return types.NewErr("NaN has no order")
			}
		}
		return types.NoSuchOverloadErr()
	})
}

func add(m *meter, a []ref.Val) {
	if n := textLen(a[0]) + textLen(a[1]); n > free {
		m.charge(n/4, n)
	}
}

// addOwn joins lists; nil leaves it to CEL. The list that a comprehension makes
// is CEL's own.
func addOwn(m *meter, a []ref.Val) ref.Val {
	l, ok := a[0].(traits.Lister)
	if !ok {
		return nil
	}
	if _, ok := l.(traits.MutableLister); ok {
		n := length(a[1])
		m.charge(10*n, 48*n)
		return nil
	}
	return addLists(m, l, a[1])
}

func listCopy(m *meter, a []ref.Val) {
	if l, ok := a[0].(traits.Lister); ok {
		n := length(l)
		m.charge(40*n, 40*n)
	}
}

// mapInsert adds to the map that a macro builds, in place: nothing else refers to
// it. CEL's own takes the time of the whole map for each member.
func mapInsert(m *meter, a []ref.Val) ref.Val {
	built, ok := a[0].(traits.Mapper)
	if !ok {
		return types.NoSuchOverloadErr()
	}
	grows, ok := built.(traits.MutableMapper)
	if !ok {
		grows = types.NewMutableMap(types.DefaultTypeAdapter, nil)
		if err := insertAll(m, grows, built); err != nil {
			return err
		}
	}
	if len(a) == 3 {
		m.charge(400, 3*nodeBytes)
		return grows.Insert(m.compute(a[1]), a[2])
	}
	added, ok := a[1].(traits.Mapper)
	if !ok {
		return types.NoSuchOverloadErr()
	}
	if err := insertAll(m, grows, added); err != nil {
		return err
	}
	return grows
}

// insertAll returns an error, or nil.
func insertAll(m *meter, to traits.MutableMapper, from traits.Mapper) ref.Val {
	n := length(from)
	m.charge(400*n, 3*nodeBytes*n)
	for it := from.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		if v := to.Insert(m.compute(k), from.Get(k)); types.IsError(v) {
			return v
		}
	}
	return nil
}

// hasValue compares what an optional holds; nil leaves hasValue() to CEL.
func hasValue(m *meter, a []ref.Val) ref.Val {
	o, ok := a[0].(*types.Optional)
	if len(a) != 2 || !ok {
		return nil
	}
	return types.Bool(o.HasValue() && equal(m, o.GetValue(), a[1], 0))
}

// flattenPrice walks as far as flatten does.
func flattenPrice(m *meter, a []ref.Val) {
	depth := 1
	if len(a) > 1 {
		if d, ok := a[1].(types.Int); ok {
			depth = int(min(d, 2*maxDepth))
		}
	}
	walkLists(m, a[0], depth)
}

func walkLists(m *meter, v ref.Val, depth int) {
	l, ok := v.(traits.Lister)
	if !ok {
		return
	}
	n := l.Size().(types.Int)
	m.charge(60*int(n), 48*int(n))
	for i := types.Int(0); depth > 0 && i < n; i++ {
		walkLists(m, l.Get(i), depth-1)
	}
}

// sortWork is the number of comparisons that sorting n values takes.
func sortWork(n int) int { return n * bits.Len(uint(n)) }
