package expr

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	errUnwritable = errors.New("event itself, or a type, cannot be written as JSON; return event.body, event.data or an object of fields")
	errTooLarge   = fmt.Errorf("%w: the result is larger than %d bytes", ErrLimit, maxResult)
	errTooDeep    = fmt.Errorf("%w: the result is nested more than %d levels deep", ErrLimit, 2*maxDepth)
)

func encode(v ref.Val) ([]byte, error) {
	out, err := appendVal(nil, v, 0)
	if err == nil && len(out) > maxResult {
		err = errTooLarge
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// fits is asked at every list and object: values share parts, so a small value
// may be endless when written.
func fits(dst []byte, depth int) error {
	if len(dst) > maxResult {
		return errTooLarge
	}
	if depth > 2*maxDepth {
		return errTooDeep
	}
	return nil
}

func appendVal(dst []byte, v ref.Val, depth int) ([]byte, error) {
	if err := fits(dst, depth); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case types.Null:
		return append(dst, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(dst, bool(v)), nil
	case types.Int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case types.Double:
		return appendDouble(dst, float64(v))
	case types.String:
		return jsontext.AppendQuote(dst, string(v))
	case types.Bytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v)
		return append(dst, '"'), nil
	case types.Timestamp:
		dst = append(dst, '"')
		dst = v.UTC().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"'), nil
	case types.Duration:
		return appendDuration(dst, v.Duration), nil
	case *types.Optional:
		if !v.HasValue() {
			return append(dst, "null"...), nil
		}
		return appendVal(dst, v.GetValue(), depth)
	case *types.Err:
		return nil, v
	case traits.Mapper:
		if m, ok := v.Value().(map[string]any); ok {
			return appendJSON(dst, m, depth)
		}
		return appendMap(dst, v, depth)
	case traits.Lister:
		if l, ok := v.Value().([]any); ok {
			return appendJSON(dst, l, depth)
		}
		return appendList(dst, v, depth)
	case *view, *types.Type:
		return nil, errUnwritable
	}
	return nil, fmt.Errorf("a %s cannot be written as JSON", v.Type().TypeName())
}

func appendMap(dst []byte, m traits.Mapper, depth int) ([]byte, error) {
	vals := map[string]ref.Val{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		var name string
		switch k := k.(type) {
		case types.String:
			name = string(k)
		case types.Bool, types.Int, types.Uint:
			name = fmt.Sprint(k.Value())
		default:
			return nil, fmt.Errorf("a %s cannot be a name in JSON", k.Type().TypeName())
		}
		if _, ok := vals[name]; ok {
			return nil, fmt.Errorf("two keys of a map are both written as %q", name)
		}
		vals[name] = m.Get(k)
	}
	dst = append(dst, '{')
	var err error
	for i, name := range slices.Sorted(maps.Keys(vals)) {
		if dst, err = appendName(dst, name, i); err != nil {
			return nil, err
		}
		if dst, err = appendVal(dst, vals[name], depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendName(dst []byte, name string, i int) ([]byte, error) {
	if i > 0 {
		dst = append(dst, ',')
	}
	dst, err := jsontext.AppendQuote(dst, name)
	return append(dst, ':'), err
}

func appendList(dst []byte, l traits.Lister, depth int) ([]byte, error) {
	dst = append(dst, '[')
	var err error
	first := true
	for it := l.Iterator(); it.HasNext() == types.True; {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if dst, err = appendVal(dst, it.Next(), depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// appendJSON writes what decode made, each number as the client wrote it. CEL
// also keeps some of its own values in such maps and lists.
func appendJSON(dst []byte, v any, depth int) ([]byte, error) {
	if err := fits(dst, depth); err != nil {
		return nil, err
	}
	var err error
	switch v := v.(type) {
	case number:
		return append(dst, v...), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if dst, err = appendName(dst, name, i); err != nil {
				return nil, err
			}
			if dst, err = appendJSON(dst, v[name], depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, item, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	return appendVal(dst, adapt(v), depth)
}

// appendDouble writes the shortest digits that read back the same, as
// JavaScript and encoding/json do.
func appendDouble(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the number %v cannot be written as JSON", f)
	}
	abs := math.Abs(f)
	if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		return append(dst, strings.Replace(s, "e-0", "e-", 1)...), nil
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
}

// appendDuration writes seconds, as protobuf's JSON does: "1.5s".
func appendDuration(dst []byte, d time.Duration) []byte {
	dst = append(dst, '"')
	sec, frac := int64(d/time.Second), int64(d%time.Second)
	if d < 0 {
		dst = append(dst, '-')
		sec, frac = -sec, -frac
	}
	dst = strconv.AppendInt(dst, sec, 10)
	if frac != 0 {
		dst = append(dst, strings.TrimRight(fmt.Sprintf(".%09d", frac), "0")...)
	}
	return append(dst, `s"`...)
}
