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
)

// encode writes v as JSON.
func (m *meter) encode(v ref.Val) ([]byte, error) {
	out, err := m.appendVal(nil, v, 0)
	if err == nil {
		err = m.fits(out, 0)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// fits is asked at every value: values share parts, so a small value may be
// endless when written.
func (m *meter) fits(dst []byte, depth int) error {
	if len(dst) > m.limits.result {
		return limitf("the result is larger than %d bytes, which follows from http.max_event_bytes", m.limits.result)
	}
	if depth > 2*maxDepth {
		return errDeep
	}
	return nil
}

// appendRaw copies JSON of the event as it is written.
func (m *meter) appendRaw(dst, raw []byte) ([]byte, error) {
	m.charge(len(raw)/2, 0)
	if len(dst)+len(raw) > cap(dst) {
		m.charge(0, 2*len(dst)+len(raw)+len(raw)/8)
		dst = slices.Grow(dst, len(raw)+len(raw)/8)
	}
	return appendCompact(dst, raw), nil
}

func (m *meter) appendVal(dst []byte, v ref.Val, depth int) ([]byte, error) {
	if err := m.fits(dst, depth); err != nil {
		return nil, err
	}
	m.charge(50, 8)
	switch v := v.(type) {
	case *object:
		return m.appendRaw(dst, v.raw)
	case *array:
		return m.appendRaw(dst, v.raw)
	case number:
		if len(v) > free {
			m.charge(len(v)/8, 3*len(v))
		}
		return append(dst, v...), nil
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
		m.charge(len(v)/2, 2*len(v))
		return jsontext.AppendQuote(dst, string(v))
	case types.Bytes:
		m.charge(2*len(v), 4*len(v))
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
		return m.appendVal(dst, v.GetValue(), depth)
	case *types.Err:
		return nil, v
	case traits.Mapper:
		return m.appendMap(dst, v, depth)
	case traits.Lister:
		return m.appendList(dst, v, depth)
	case *view, *types.Type:
		return nil, errUnwritable
	}
	return nil, fmt.Errorf("a %s cannot be written as JSON", v.Type().TypeName())
}

func (m *meter) appendMap(dst []byte, members traits.Mapper, depth int) ([]byte, error) {
	vals := map[string]ref.Val{}
	for it := members.Iterator(); it.HasNext() == types.True; {
		m.charge(300, 2*nodeBytes)
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
		vals[name] = members.Get(k)
	}
	dst = append(dst, '{')
	var err error
	for i, name := range slices.Sorted(maps.Keys(vals)) {
		if dst, err = appendName(dst, name, i); err != nil {
			return nil, err
		}
		if dst, err = m.appendVal(dst, vals[name], depth+1); err != nil {
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

func (m *meter) appendList(dst []byte, l traits.Lister, depth int) ([]byte, error) {
	dst = append(dst, '[')
	var err error
	first := true
	for it := l.Iterator(); it.HasNext() == types.True; {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if dst, err = m.appendVal(dst, it.Next(), depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
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
