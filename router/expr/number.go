package expr

import (
	"fmt"
	"math"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// number is a number of the event whose text says more than an int or a uint:
// 1.10, 1e2, -0, 30 digits. Moved, compared or turned into text it is exact; a
// function that computes gets computed.
//
//	text        type    computed
//	7, -7       int     (not a number of this type: types.Int)
//	2^63..2^64  uint    (types.Uint)
//	-0          int     0
//	1.10, 1e2   double  the nearest double
//	2^64 and up double  the nearest double
//	1e400       double  an error
type number string

// readNumber gives the value of a JSON number.
func readNumber(text string) ref.Val {
	if len(text) <= len("-9223372036854775808") && text != "-0" {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return types.Int(i)
		}
		if u, err := strconv.ParseUint(text, 10, 64); err == nil {
			return types.Uint(u)
		}
	}
	return number(text)
}

func (n number) float() float64 {
	f, _ := strconv.ParseFloat(string(n), 64) // out of range is an infinity
	return f
}

// computed is what arithmetic gets.
func (n number) computed() ref.Val {
	if n == "-0" {
		return types.Int(0)
	}
	f := n.float()
	if math.IsInf(f, 0) {
		return types.NewErr("the number %.40s of the event is beyond a double: it can be moved and compared, but not computed on", string(n))
	}
	return types.Double(f)
}

func (n number) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a number of the event cannot become %v", t)
}

func (n number) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.StringType:
		return types.String(n)
	case types.TypeType:
		return n.Type().(*types.Type)
	}
	return n.computed().ConvertToType(t)
}

func (n number) Equal(other ref.Val) ref.Val {
	if o, ok := other.(number); ok && len(n)+len(o) > maxParsed {
		return types.Bool(n == o) // only equal charges for digits
	}
	c, ok := compareNumbers(n, other)
	return types.Bool(ok && c == 0)
}

func (n number) Type() ref.Type {
	if n == "-0" {
		return types.IntType
	}
	return types.DoubleType
}

func (n number) Value() any { return n.computed().Value() }

// IsZeroValue serves optional.ofNonZeroValue.
func (n number) IsZeroValue() bool { return parseDecimal(string(n)).digits == "" }

// compute is v with what a CEL function can compute on.
func (m *meter) compute(v ref.Val) ref.Val {
	if n, ok := v.(number); ok {
		m.charge(floatWork(string(n)), 0)
		return n.computed()
	}
	return v
}

// floatWork is what it takes to read text as a double, in ns. One of up to 19
// digits takes a multiplication, unless its exponent is at the ends of what a
// double holds. Another is shifted in base 10, up to 800 digits by up to 1,100 bits:
// measured, up to 140 us.
func floatWork(text string) int {
	d := parseDecimal(text)
	exp := int(min(max(d.exp, -d.exp), 400))
	if len(d.digits) <= 19 && exp <= 280 {
		return 150 + len(text)
	}
	return 2_000 + 50*min(len(d.digits), 800) + 4*len(text) + 400*exp
}
