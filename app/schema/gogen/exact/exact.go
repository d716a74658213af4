package exact

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Integer is an integer of any size, as decimal digits: 4200, -1. The zero value
// is 0. The same integers are equal: 1.0 and 1e2 are read as 1 and 100.
type Integer string

// IntegerOf is n as an Integer.
func IntegerOf(n int64) Integer { return Integer(strconv.FormatInt(n, 10)) }

// Int64 is the value. The error says that it does not fit into 64 bits.
func (n Integer) Int64() (int64, error) { return strconv.ParseInt(n.String(), 10, 64) }

// BigInt is the value; false when n is not written in digits.
func (n Integer) BigInt() (*big.Int, bool) { return new(big.Int).SetString(n.String(), 10) }

// String is the digits.
func (n Integer) String() string {
	if n == "" {
		return "0"
	}
	return string(n)
}

// MarshalJSON implements json.Marshaler.
func (n Integer) MarshalJSON() ([]byte, error) {
	digits, err := integerDigits(n.String())
	return []byte(digits), err
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Integer) UnmarshalJSON(data []byte) error {
	digits, err := integerDigits(string(data))
	*n = Integer(digits)
	return err
}

// DateTime is a time of RFC 3339 as it is written in JSON.
type DateTime string

// DateTimeOf is t as a DateTime.
func DateTimeOf(t time.Time) DateTime { return DateTime(t.Format(time.RFC3339Nano)) }

// Time is the point in time. A leap second is the second after it, as in Unix time.
func (d DateTime) Time() (time.Time, error) {
	text := strings.ToUpper(string(d)) // RFC 3339 allows t and z
	const second = len("2016-12-31T23:59:")
	leap := strings.HasPrefix(text[min(second, len(text)):], "60")
	if leap {
		text = text[:second] + "59" + text[second+2:]
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if leap && err == nil {
		t = t.Add(time.Second)
	}
	return t, err
}

// Nullable is a member that may be absent (the zero value), null, or a value.
type Nullable[T any] struct {
	Value *T
	Null  bool // Value is nil and the member is null
}

// MarshalJSON implements json.Marshaler.
func (n Nullable[T]) MarshalJSON() ([]byte, error) { return marshalExact(n.Value) }

// UnmarshalJSON implements json.Unmarshaler.
func (n *Nullable[T]) UnmarshalJSON(data []byte) error { return jsonv2.Unmarshal(data, n, exactly) }

// UnmarshalJSONFrom reads a part of a document.
func (n *Nullable[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == 'n' {
		*n = Nullable[T]{Null: true}
		return dec.SkipValue()
	}
	*n = Nullable[T]{Value: new(T)}
	return unmarshalExact(dec, n.Value)
}

// exactly is how the types are read and written.
var exactly = jsonv2.JoinOptions(jsonv2.DefaultOptionsV2(), jsonv2.Deterministic(true),
	jsonv2.FormatNilSliceAsNull(true), jsonv2.FormatNilMapAsNull(true), exactNumbers)

// exactNumbers keeps the text of json.Number and of numbers in any, and reads
// integers by value.
var exactNumbers = jsonv2.JoinOptions(
	jsonv2.WithMarshalers(jsonv2.MarshalToFunc(writeNumber)),
	jsonv2.WithUnmarshalers(jsonv2.UnmarshalFromFunc(readNumber)))

func unmarshalExact(dec *jsontext.Decoder, v any) error {
	return jsonv2.UnmarshalDecode(dec, v, exactly)
}

func marshalExact(v any) ([]byte, error) { return jsonv2.Marshal(v, exactly) }

func writeNumber(enc *jsontext.Encoder, n json.Number) error {
	if n == "" { // as encoding/json writes it
		n = "0"
	}
	return enc.WriteValue(jsontext.Value(n))
}

func readNumber(dec *jsontext.Decoder, v any) error {
	if dec.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	switch v := v.(type) {
	case *any:
		raw, err := dec.ReadValue()
		*v = json.Number(raw)
		return err
	case *json.Number:
		raw, err := dec.ReadValue()
		*v = json.Number(raw)
		return err
	case json.Unmarshaler, jsonv2.UnmarshalerFrom:
		return errors.ErrUnsupported
	}
	to := reflect.ValueOf(v).Elem()
	if !to.CanInt() && !to.CanUint() {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	digits, err := integerDigits(string(raw))
	if err != nil {
		return err
	}
	if to.CanInt() {
		n, err2 := strconv.ParseInt(digits, 10, to.Type().Bits())
		err = err2
		to.SetInt(n)
	} else {
		n, err2 := strconv.ParseUint(digits, 10, to.Type().Bits())
		err = err2
		to.SetUint(n)
	}
	if err != nil {
		return fmt.Errorf("%s does not fit into %v", digits, to.Type())
	}
	return nil
}

// integerDigits writes a number of JSON that is an integer in digits. The bound of
// the exponent is the one of events: the digits would be as many.
func integerDigits(number string) (string, error) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	if exponent != "" {
		if e, err := strconv.Atoi(exponent); err != nil || e < -1000 || e > 1000 {
			return "", fmt.Errorf("the exponent of %s is not between -1000 and 1000", number)
		}
	} else if !strings.Contains(mantissa, ".") && mantissa != "-0" {
		if strings.Trim(mantissa, "-0123456789") == "" && mantissa != "" {
			return mantissa, nil
		}
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok || !r.IsInt() {
		return "", fmt.Errorf("%s is not an integer", number)
	}
	return r.Num().String(), nil
}
