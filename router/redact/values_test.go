package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"eventserver/router/routertest"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// valuesByDecoder are the values of a JSON text, as encoding/json reads them.
func valuesByDecoder(body []byte) (values []string) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			values = append(values, v)
		case json.Number:
			values = append(values, v.String())
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
	return slices.DeleteFunc(values, func(v string) bool { return len(v) < maskLow })
}

// Every value that a text has in some form, or begins like, is found: each of them is
// looked for by itself here.
func TestSoughtFindsWhatIsThere(t *testing.T) {
	pieces := []string{"ada", "é", "日本", `"`, `\`, "/", "<", "&", "'", "\n", "\x00", " ", "\u2028", "\xff", "𝄞", "0123456789abcdefgh", "x y", "ab1", "12.5", "\x7f"}
	value := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 8).Draw(t, "pieces"), "")
	})
	rapid.Check(t, func(t *rapid.T) {
		members := map[string]any{}
		for i, v := range rapid.SliceOfN(value, 1, 6).Draw(t, "values") {
			members[fmt.Sprint(i)] = []any{v, float64(i) * 1234.5, true, nil}
		}
		body, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "not UTF-8") {
			body = bytes.ReplaceAll(body, []byte(`\ufffd`), []byte("\xff"))
		}
		values := valuesByDecoder(body)
		var text strings.Builder
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			part := rapid.SampledFrom(append([]string{"word ", `\`}, values...)).Draw(t, "part")
			for range rapid.IntRange(0, 2).Draw(t, "quoted") {
				part = rapid.SampledFrom([]string{part, strconv.Quote(part), strconv.QuoteToASCII(part), jsonText(part), plainJSON(part), Clean(part), strings.ReplaceAll(part, "/", `\/`)}).Draw(t, "form")
			}
			text.WriteString(part[:rapid.IntRange(0, len(part)).Draw(t, "cut")])
			text.WriteString(part)
		}
		s := newSought(text.String())
		if !s.inJSON(body) {
			t.Fatalf("%s is JSON", body)
		}
		for _, v := range values {
			there := len(v) >= maskPart && strings.Contains(text.String(), v[:maskPart])
			for _, form := range s.formsOf(v) {
				there = there || strings.Contains(text.String(), form)
			}
			if _, found := s.values[v]; there && !found {
				t.Fatalf("%q is in %q and was not found", v, text.String())
			}
		}
	})
}

// FuzzJSON: what is JSON, and what its values are, is as encoding/json has it.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{``, `{}`, `[]`, `[1,-0,1.5e-3,01]`, `{"a":{"b":[true,false,null,"x\u00e9\n"]}}`, `{"a"}`, `{"a":}`, `{,}`, `[,]`, `[1,]`, `{"a":1,}`, `"x`, `"\x"`, `"\u12g4"`,
		`1 2`, ` "x" `, "\"\x01\"", "\"\xff1234\"", "\"é\xff\"", `-`, `1.`, `1e`, `tru`, `nulll`, `[[[[`, `]`, `{"a":1]`, `"12345678\"12345678"`, `{"name1234":"value1234", "n":12345}`, strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) { asEncodingJSON(t, body) })
}

func TestJSONThatIsCutAndChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(`{"a":{"b":[true,false,null,"x\u00e9\n\"12345678\\","` + "\xff" + `é日本"]},"n":-12.50e+3 , "m": [ ] , "o":{ },"p":0}`)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
			switch c := rapid.SampledFrom([]byte("\"\\[]{},:0e-.tu \x00\xffx")).Draw(t, "byte"); rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				body[at] = c
			case 1:
				body = slices.Delete(body, at, at+1)
			default:
				body = slices.Insert(body, at, c)
			}
		}
		asEncodingJSON(t, body)
	})
}

func asEncodingJSON(t rapid.TB, body []byte) {
	s := &sought{values: map[string]struct{}{}}
	for n := range s.runs { // a text that has all runs
		for i := range s.runs[n] {
			s.runs[n][i] = ^uint64(0)
		}
	}
	is := s.inJSON(body)
	if want := json.Valid(body); is != want {
		t.Fatalf("%q: JSON %v, want %v", body, is, want)
	}
	if !is {
		return
	}
	for _, v := range valuesByDecoder(body) {
		if _, found := s.values[v]; !found {
			t.Fatalf("%q: %q was not found", body, v)
		}
	}
}

// A text has a kilobyte, a body a hundred thousand values: no string is made of those
// that the text cannot have.
func TestSoughtMakesNoStrings(t *testing.T) {
	err := errors.New("webhook answered 422: the field customer.address.city is required")
	for name, body := range routertest.BodiesOf1MiB {
		if n := testing.AllocsPerRun(1, func() { Detail(err, []byte(body)) }); n > 100 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
