package exact

import (
	"errors"
	"math/big"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// compatible is encoding/json, but for what it changes or refuses of an event.
var compatible = jsonv2.JoinOptions(jsonv1.DefaultOptionsV1(),
	jsonv2.MatchCaseInsensitiveNames(false), jsonv1.ReportErrorsWithLegacySemantics(false),
	jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false),
	exactNumbers,
	jsonv2.WithUnmarshalers(jsonv2.JoinUnmarshalers(jsonv2.UnmarshalFromFunc(readTime), jsonv2.UnmarshalFromFunc(readBigInt), jsonv2.UnmarshalFromFunc(readNumber))))

// Unmarshal is encoding/json's, with exact names, once each, valid UTF-8, integers
// by value and every date-time of a schema. Numbers in any are json.Number.
func Unmarshal(data []byte, v any) error { return jsonv2.Unmarshal(data, v, compatible) }

// Marshal is encoding/json's and refuses texts that are not valid UTF-8, which it
// repairs: two keys could become one.
func Marshal(v any) ([]byte, error) { return jsonv2.Marshal(v, compatible) }

func readTime(dec *jsontext.Decoder, t *time.Time) error {
	if dec.PeekKind() != '"' {
		return errors.ErrUnsupported
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return err
	}
	*t, err = DateTime(tok.String()).Time()
	return err
}

func readBigInt(dec *jsontext.Decoder, n *big.Int) error {
	if dec.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	digits, err := integerDigits(string(raw))
	if err == nil {
		n.SetString(digits, 10)
	}
	return err
}
