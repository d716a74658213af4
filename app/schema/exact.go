package schema

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
)

// exact is the value of a JSON number: the digits times ten to the power
// of exp. The digits begin and end with another digit than 0; none is zero. It is
// comparable, and takes no more memory than the number's text: a fraction of
// 1e1000 has a thousand digits.
type exact struct {
	negative bool
	digits   string
	exp      int
}

// exactOf is the exact of what number returns; false for anything else.
func exactOf(v any) (exact, bool) {
	switch v := v.(type) {
	case int64:
		return parseExact(strconv.FormatInt(v, 10)), true
	case json.Number:
		return parseExact(string(v)), true
	}
	return exact{}, false
}

// parseExact reads a number as JSON writes it.
func parseExact(text string) exact {
	d := exact{}
	text, d.negative = strings.CutPrefix(text, "-")
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		d.exp, _ = strconv.Atoi(text[e+1:]) // fitting has looked at it
		text = text[:e]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	d.digits = whole
	if fraction != "" {
		d.digits += fraction
		d.exp -= len(fraction)
	}
	d.digits = strings.TrimLeft(d.digits, "0")
	short := strings.TrimRight(d.digits, "0")
	d.exp += len(d.digits) - len(short)
	d.digits = short
	if short == "" {
		return exact{}
	}
	return d
}

func (d exact) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// compare is the sign of d minus e.
func (d exact) compare(e exact) int {
	s := d.sign()
	if s != e.sign() {
		if s > e.sign() {
			return 1
		}
		return -1
	}
	// Both are 0.digits times a power of ten.
	if p, q := len(d.digits)+d.exp, len(e.digits)+e.exp; p != q && s != 0 {
		if p > q {
			return s
		}
		return -s
	}
	return s * strings.Compare(d.digits, e.digits)
}

func (d exact) isInteger() bool { return d.exp >= 0 }

// small is the int64 that d is, if it is one.
func (d exact) small() (int64, bool) {
	if d.digits == "" {
		return 0, true
	}
	if d.exp < 0 || len(d.digits)+d.exp > 19 {
		return 0, false
	}
	text := d.digits + strings.Repeat("0", d.exp)
	if d.negative {
		text = "-" + text
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// multipleOf says whether d is a whole number of times e, which is not zero.
func (d exact) multipleOf(e exact) bool {
	least := min(d.exp, e.exp)
	return new(big.Int).Rem(d.scaled(d.exp-least), e.scaled(e.exp-least)).Sign() == 0
}

// scaled is d's digits with more zeros.
func (d exact) scaled(zeros int) *big.Int {
	n, _ := new(big.Int).SetString("0"+d.digits+strings.Repeat("0", zeros), 10) // digits only
	return n
}
