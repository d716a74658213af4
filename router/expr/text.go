package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

func limitf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrLimit}, args...)...)
}

// CEL's own charAt, substring, indexOf and lastIndexOf copy the text into four
// bytes a character, and search in the time of text times word. These give the
// same answers in the time of the text.

// byteOf gives where character n of s begins, and false beyond its end.
func byteOf(m *meter, s string, n int) (int, bool) {
	m.charge(5*min(len(s), n), 0)
	at := 0
	for ; n > 0; n-- {
		if at >= len(s) {
			return at, false
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at, true
}

// words reads the arguments of a function of text: text, and ints after it.
func words(args []ref.Val, texts int) (s []string, n []int, ok bool) {
	for i, a := range args {
		switch v := a.(type) {
		case types.String:
			if i >= texts {
				return nil, nil, false
			}
			s = append(s, string(v))
		case types.Int:
			if i < texts {
				return nil, nil, false
			}
			n = append(n, int(v))
		default:
			return nil, nil, false
		}
	}
	return s, n, len(s) == texts
}

func outOfRange(n int) ref.Val { return types.NewErr("index out of range: %d", n) }

func charAt(m *meter, args []ref.Val) ref.Val {
	s, n, ok := words(args, 1)
	if !ok || len(n) != 1 {
		return types.NoSuchOverloadErr()
	}
	if n[0] < 0 {
		return outOfRange(n[0])
	}
	at, ok := byteOf(m, s[0], n[0])
	if !ok {
		return outOfRange(n[0])
	}
	_, size := utf8.DecodeRuneInString(s[0][at:])
	return types.String(s[0][at : at+size])
}

func substring(m *meter, args []ref.Val) ref.Val {
	s, n, ok := words(args, 1)
	if !ok || len(n) < 1 || len(n) > 2 {
		return types.NoSuchOverloadErr()
	}
	if len(n) == 2 && n[0] > n[1] {
		return types.NewErr("invalid substring range. start: %d, end: %d", n[0], n[1])
	}
	if n[0] < 0 {
		return outOfRange(n[0])
	}
	from, ok := byteOf(m, s[0], n[0])
	if !ok {
		return outOfRange(n[0])
	}
	if len(n) == 1 {
		return types.String(s[0][from:])
	}
	size, ok := byteOf(m, s[0][from:], n[1]-n[0])
	if !ok {
		return outOfRange(n[1])
	}
	return types.String(s[0][from : from+size])
}

func indexOf(m *meter, args []ref.Val) ref.Val {
	s, n, ok := words(args, 2)
	if !ok || len(n) > 1 {
		return types.NoSuchOverloadErr()
	}
	offset := 0
	if len(n) == 1 {
		offset = n[0]
	}
	if offset < 0 {
		return outOfRange(offset)
	}
	m.charge(5*len(s[0])+len(s[1]), 0)
	from, ok := byteOf(m, s[0], offset)
	if s[1] == "" {
		return types.Int(min(offset, utf8.RuneCountInString(s[0])))
	}
	if !ok {
		return types.Int(-1)
	}
	i := strings.Index(s[0][from:], s[1])
	if i < 0 {
		return types.Int(-1)
	}
	return types.Int(offset + utf8.RuneCountInString(s[0][from:from+i]))
}

func lastIndexOf(m *meter, args []ref.Val) ref.Val {
	s, n, ok := words(args, 2)
	if !ok || len(n) > 1 {
		return types.NoSuchOverloadErr()
	}
	m.charge(8*len(s[0])+len(s[1]), 0)
	hay, all := s[0], utf8.RuneCountInString(s[0])
	if len(n) == 1 {
		switch {
		case n[0] < 0:
			return outOfRange(n[0])
		case s[1] == "":
			return types.Int(min(n[0], all))
		case n[0] >= all:
			return types.Int(-1)
		}
		// The match begins at the offset or before it.
		from, _ := byteOf(m, hay, n[0])
		hay = hay[:min(len(hay), from+len(s[1]))]
	}
	if s[1] == "" {
		return types.Int(all)
	}
	i := strings.LastIndex(hay, s[1])
	if i < 0 {
		return types.Int(-1)
	}
	return types.Int(utf8.RuneCountInString(hay[:i]))
}

func replacePrice(m *meter, a []ref.Val) {
	if len(a) < 3 {
		return
	}
	s, ok := a[0].(types.String)
	old, ok2 := a[1].(types.String)
	by, ok3 := a[2].(types.String)
	if !ok || !ok2 || !ok3 {
		return
	}
	m.charge(4*len(s)+len(old), 0) // counting and searching, each up to 2 ns a byte
	n := strings.Count(string(s), string(old))
	if len(a) == 4 {
		if most, ok := a[3].(types.Int); ok && most >= 0 {
			n = min(n, int(most))
		}
	}
	m.charge(len(s)+n*(20+len(by)/4), len(s)+n*len(by))
}

func splitPrice(m *meter, a []ref.Val) {
	s, ok := a[0].(types.String)
	sep, ok2 := a[1].(types.String)
	if !ok || !ok2 {
		return
	}
	m.charge(4*len(s)+len(sep), 0) // as replacePrice
	n := strings.Count(string(s), string(sep)) + 1
	if len(a) == 3 {
		if most, ok := a[2].(types.Int); ok && most >= 0 {
			m.charge(0, 16*min(len(s)+1, int(most))) // it has room for as many
			n = min(n, int(most))
		}
	}
	m.charge(40*n, 48*n) // the texts and their values
}

func join(m *meter, args []ref.Val) ref.Val {
	l, ok := args[0].(traits.Lister)
	sep := types.String("")
	if len(args) == 2 && ok {
		sep, ok = args[1].(types.String)
	}
	if !ok || len(args) > 2 {
		return types.NoSuchOverloadErr()
	}
	n := l.Size().(types.Int)
	m.charge(60*int(n), int(n)*len(sep))
	size := 0
	for i := types.Int(0); i < n; i++ {
		s, ok := l.Get(i).(types.String)
		if !ok {
			return types.NewErr("join: item %d is a %s, not a string; write .map(i, string(i)).join()", i, l.Get(i).Type().TypeName())
		}
		m.charge(len(s)/4, len(s))
		size += len(s) + len(sep)
	}
	var b strings.Builder
	b.Grow(size)
	for i := types.Int(0); i < n; i++ {
		if i > 0 {
			b.WriteString(string(sep))
		}
		s, _ := l.Get(i).(types.String)
		b.WriteString(string(s))
	}
	return types.String(b.String())
}

// toString gives a number of the event as it is written; nil leaves the rest to
// CEL.
func toString(m *meter, args []ref.Val) ref.Val {
	if n, ok := args[0].(number); ok {
		m.charge(len(n)/8, len(n))
		return types.String(n)
	}
	return nil
}

func toStringPrice(m *meter, args []ref.Val) {
	if b, ok := args[0].(types.Bytes); ok {
		m.charge(len(b)/2, len(b))
	}
}

// formatPrice is that of all that the values print, and makes of each number what
// its verb prints.
func formatPrice(m *meter, a []ref.Val) {
	f, ok := a[0].(types.String)
	if !ok || len(a) < 2 {
		return
	}
	m.charge(4*len(f), 2*len(f))
	l, ok := a[1].(traits.Lister)
	if !ok {
		return
	}
	printed(m, l, 0)
	verbs := formatVerbs(string(f))
	vals := appendItems(make([]ref.Val, 0, length(l)), l)
	for i, v := range vals {
		if n, ok := v.(number); ok {
			if vals[i] = m.compute(n); i < len(verbs) && verbs[i] == 's' {
				vals[i] = types.String(n)
			}
		}
	}
	a[1] = types.NewRefValList(types.DefaultTypeAdapter, vals)
}

// printed charges for all of a value as text.
func printed(m *meter, v ref.Val, depth int) {
	if depth > 2*maxDepth {
		m.must(errDeep)
	}
	switch v := v.(type) {
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			printed(m, k, depth+1)
			printed(m, v.Get(k), depth+1)
		}
	case traits.Lister:
		n := v.Size().(types.Int)
		for i := types.Int(0); i < n; i++ {
			printed(m, v.Get(i), depth+1)
		}
	default:
		n := textLen(v)
		m.charge(500+4*n, 1000+6*n) // a double of 309 digits
	}
}

// formatVerbs gives the letters of the places of a format string: %s, %.3f.
func formatVerbs(f string) []byte {
	var out []byte
	for i := 0; i+1 < len(f); i++ {
		if f[i] != '%' {
			continue
		}
		i++
		if f[i] == '%' {
			continue
		}
		for i < len(f) && (f[i] == '.' || f[i] >= '0' && f[i] <= '9') {
			i++
		}
		if i < len(f) {
			out = append(out, f[i])
		}
	}
	return out
}

func jsonEncode(m *meter, args []ref.Val) ref.Val {
	out, err := m.encode(args[0])
	if err != nil {
		return types.WrapErr(err)
	}
	m.charge(0, len(out))
	return types.String(out)
}

// jsonParse gives an optional: none for what is no JSON, or of another type than
// the one that is asked for.
func jsonParse(m *meter, args []ref.Val) ref.Val {
	s, ok := args[0].(types.String)
	if !ok {
		return types.NoSuchOverloadErr()
	}
	m.charge(6*len(s), 4*len(s)) // it is read three times
	text := []byte(s)
	if _, err := wholeJSON(text); err != nil {
		return types.OptionalNone
	}
	if end, err := m.skip(text, space(text, 0)); err != nil || space(text, end) != len(text) {
		m.charge(2*len(s), 0)
		return types.OptionalNone
	}
	v, err := m.decode(text)
	if err != nil {
		return types.OptionalNone
	}
	if len(args) == 2 && ref.Val(v.Type().(*types.Type)) != args[1] {
		v = m.compute(v).ConvertToType(types.DoubleType)
		if args[1] != ref.Val(types.DoubleType) || types.IsError(v) {
			return types.OptionalNone
		}
	}
	return types.OptionalOf(v)
}
