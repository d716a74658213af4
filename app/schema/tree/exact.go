package tree

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
)

// Exact is the value of a JSON number: the digits times ten to the power
// of exp. The digits begin and end with another digit than 0; none is zero. It is
// comparable, and takes no more memory than the number's text: a fraction of
// 1e1000 has a thousand digits.
type Exact struct {
	negative bool
	Digits   string
	Exp      int
}

// ExactOf is the exact of what number returns; false for anything else.
func ExactOf(v any) (Exact, bool) {
	switch v := v.(type) {
	case int64:
		return ParseExact(strconv.FormatInt(v, 10)), true
	case json.Number:
		return ParseExact(string(v)), true
	}
	return Exact{}, false
}

// ParseExact reads a number as JSON writes it.
func ParseExact(text string) Exact {
	d := Exact{}
	text, d.negative = strings.CutPrefix(text, "-")
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		d.Exp, _ = strconv.Atoi(text[e+1:]) // fitting has looked at it
		text = text[:e]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	d.Digits = whole
	if fraction != "" {
		d.Digits += fraction
		d.Exp -= len(fraction)
	}
	d.Digits = strings.TrimLeft(d.Digits, "0")
	short := strings.TrimRight(d.Digits, "0")
	d.Exp += len(d.Digits) - len(short)
	d.Digits = short
	if short == "" {
		return Exact{}
	}
	return d
}

func (d Exact) sign() int {
	switch {
	case d.Digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// Compare is the sign of d minus e.
func (d Exact) Compare(e Exact) int {
	s := d.sign()
	if s != e.sign() {
		if s > e.sign() {
			return 1
		}
		return -1
	}
	// Both are 0.digits times a power of ten.
	if p, q := len(d.Digits)+d.Exp, len(e.Digits)+e.Exp; p != q && s != 0 {
		if p > q {
			return s
		}
		return -s
	}
	return s * strings.Compare(d.Digits, e.Digits)
}

func (d Exact) isInteger() bool { return d.Exp >= 0 }

// Small is the int64 that d is, if it is one.
func (d Exact) Small() (int64, bool) {
	if d.Digits == "" {
		return 0, true
	}
	if d.Exp < 0 || len(d.Digits)+d.Exp > 19 {
		return 0, false
	}
	text := d.Digits + strings.Repeat("0", d.Exp)
	if d.negative {
		text = "-" + text
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// MultipleOf says whether d is a whole number of times e, which is not zero.
func (d Exact) MultipleOf(e Exact) bool {
	least := min(d.Exp, e.Exp)
	return new(big.Int).Rem(d.scaled(d.Exp-least), e.scaled(e.Exp-least)).Sign() == 0
}

// scaled is d's digits with more zeros.
func (d Exact) scaled(zeros int) *big.Int {
	n, _ := new(big.Int).SetString("0"+d.Digits+strings.Repeat("0", zeros), 10) // digits only
	return n
}
