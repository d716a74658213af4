package expr

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/go-json-experiment/json/jsontext"
)

// number is a JSON number as it was written. It becomes an int, uint or double
// when an expression picks it out, and is written unchanged when the object or
// list around it is passed on.
type number string

// decode reads JSON into nil, bool, string, number, and CEL's own maps and lists
// (over map[string]any and []any) of these. Nobody changes those after decode
// returns. The maps and lists are CEL's from the start because each remembers its
// size for the limits; one made anew at each look would be measured anew.
func decode(data []byte) (any, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	v, err := decodeValue(dec, 0)
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			return v, nil
		} else if err == nil {
			err = fmt.Errorf("more than one JSON value")
		}
	}
	return nil, fmt.Errorf("the event's body cannot be read as JSON: %w", err)
}

func decodeValue(dec *jsontext.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case 'n':
		return nil, nil
	case 't':
		return true, nil
	case 'f':
		return false, nil
	case '"':
		return tok.String(), nil
	case '0':
		return number(tok.String()), nil
	case '[':
		list := []any{}
		for dec.PeekKind() != ']' {
			v, err := decodeValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.ReadToken()
		return types.NewDynamicList(jsonAdapter{}, list), err
	}
	m := map[string]any{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String() // before the next read: a token points into the decoder
		if m[key], err = decodeValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = dec.ReadToken()
	return types.NewStringInterfaceMap(jsonAdapter{}, m), err
}

func (n number) value() ref.Val {
	s := string(n)
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return types.Int(i)
		}
		if u, err := strconv.ParseUint(s, 10, 64); err == nil {
			return types.Uint(u)
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return types.NewErr("a number of the event is beyond a double")
	}
	return types.Double(f)
}
