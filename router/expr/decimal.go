package expr

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// decimal is a number written in base 10, taken apart: 0.digits * 10^exp, with
// no zero at either end of digits. Zero has no digits. Its size is that of the
// text, whatever the exponent.
type decimal struct {
	negative bool
	digits   string
	exp      int64
}

// parseDecimal reads a JSON number, or what strconv writes of a finite one.
func parseDecimal(s string) decimal {
	var d decimal
	if s, d.negative = strings.CutPrefix(s, "-"); s == "" {
		return d
	}
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exp = int64(len(whole))
	d.digits = whole
	if fraction != "" {
		d.digits = whole + fraction
	}
	n := len(d.digits)
	d.digits = strings.TrimLeft(d.digits, "0")
	d.exp -= int64(n - len(d.digits))
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{} // -0 is 0
	}
	if exponent != "" {
		e, err := strconv.ParseInt(exponent, 10, 64)
		if err != nil || e > math.MaxInt64/2 || e < math.MinInt64/2 { // longer than any text could balance
			e = math.MaxInt64 / 2
			if strings.HasPrefix(exponent, "-") {
				e = -e
			}
		}
		d.exp += e
	}
	return d
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

func (d decimal) compare(o decimal) int {
	if c := cmp.Compare(d.sign(), o.sign()); c != 0 || d.digits == "" {
		return c
	}
	c := cmp.Compare(d.exp, o.exp)
	if c == 0 {
		c = strings.Compare(d.digits, o.digits)
	}
	return c * d.sign()
}

// written is the text of a number for an exact comparison. A double stands for
// the shortest text that reads back as it: 0.1 is 0.1.
func written(v ref.Val) string {
	switch v := v.(type) {
	case number:
		return string(v)
	case types.Int:
		return strconv.FormatInt(int64(v), 10)
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10)
	case types.Double:
		return strconv.FormatFloat(float64(v), 'e', -1, 64)
	}
	return ""
}

// compareNumbers compares two numbers as they are written, without rounding. ok
// is false when one is no number or NaN. It makes no double of a number of the
// event: that takes up to 140 us for 1e-308 with many digits.
func compareNumbers(a, b ref.Val) (c int, ok bool) {
	x, okx := float(a)
	y, oky := float(b)
	_, ax := a.(number)
	_, bx := b.(number)
	switch {
	case !okx || !oky || math.IsNaN(x) || math.IsNaN(y):
		return 0, false
	case math.IsInf(x, 0) || math.IsInf(y, 0): // beyond any number of the event
		return cmp.Compare(x, y), true
	case !ax && !bx && x != y: // rounding to a double keeps the order
		return cmp.Compare(x, y), true
	}
	return parseDecimal(written(a)).compare(parseDecimal(written(b))), true
}

// float is a number of CEL's as a double, and 0 for one of the event.
func float(v ref.Val) (float64, bool) {
	switch v := v.(type) {
	case number:
		return 0, true
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Double:
		return float64(v), true
	}
	return 0, false
}
