package tree

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
)

// Limits of a number. They keep its exact value small: as a fraction, 1e999999
// has a million digits, and an event could hold a hundred thousand of them. A
// float64 ends at 1e308.
const (
	maxDigits   = 1000
	maxExponent = 1000
)

// NumberCure is the end of a message about a number beyond the limits.
const NumberCure = "write at most 1000 digits and an exponent between -1000 and 1000"

// Number is the exact value of a JSON number: an int64 where it is written as one
// and fits, which costs no fraction to compare, else its text.
func Number(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return json.Number(text)
}

// Fitting says whether a JSON number keeps to the limits.
func Fitting(text string) bool {
	if len(text) > maxDigits {
		return false
	}
	e := strings.IndexAny(text, "eE")
	if e < 0 {
		return true
	}
	n, err := strconv.Atoi(text[e+1:])
	return err == nil && n >= -maxExponent && n <= maxExponent
}

// Rat is the exact value of what number returns; nil for anything else.
func Rat(v any) *big.Rat {
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v)
	case json.Number:
		if r, ok := new(big.Rat).SetString(string(v)); ok {
			return r
		}
	}
	return nil
}

// IsInteger follows JSON Schema: 1.0 and 1e3 are integers.
func IsInteger(v any) bool {
	if _, ok := v.(int64); ok {
		return true
	}
	d, ok := ExactOf(v)
	return ok && d.isInteger()
}

// RatText writes a bound of a schema the way a person would.
func RatText(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	if n, exact := r.FloatPrec(); exact {
		return r.FloatString(n)
	}
	return r.String()
}

// IsNumber says whether text is a number as JSON writes it.
func IsNumber(text string) bool {
	s := strings.TrimPrefix(text, "-")
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	if s = s[whole:]; strings.HasPrefix(s, ".") {
		n := digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n := digits(s)
		return n > 0 && n == len(s)
	}
	return s == ""
}

func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
