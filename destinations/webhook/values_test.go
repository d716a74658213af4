package webhook

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestJSONValues(t *testing.T) {
	for body, want := range map[string][]string{
		``: nil,
		`{"a":"b\n\"c","d":[-1.5e3,true,null,false]}`: {"a", "b\n\"c", "d", "-1.5e3"},
		`{"a":"cut \u00e9 he`:                         {"a", "cut é he"},
		`{"a":"cut \u00e9 he\u00`:                     {"a", "cut é he"},
		`["\`:                                         {""},
		`["wrong \q","b"]`:                            {`wrong \q`, "b"},
		`["a"] <p class="x">`:                         {"a"},
		`no JSON "at all"`:                            nil,
		`"\\"`:                                        {`\`},
	} {
		if got := jsonValues([]byte(body), 10); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if got := jsonValues([]byte(`[1,2,3]`), 2); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// Of any JSON they are what encoding/json finds in it.
func TestJSONValuesAreThoseOfAnyJSON(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		body, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String())).Draw(rt, "body"))
		if err != nil {
			rt.Fatal(err)
		}
		var want []string
		dec := json.NewDecoder(bytes.NewReader(body))
		for {
			tok, err := dec.Token()
			if err != nil {
				break
			}
			if s, ok := tok.(string); ok {
				want = append(want, s)
			}
		}
		if got := jsonValues(body, len(want)+1); !slices.Equal(got, want) {
			rt.Errorf("%s: %q, want %q", body, got, want)
		}
	})
}

// The long text of a payload is beyond what is looked at: of it the beginning was not
// looked for, and an answer could repeat it encoded.
func TestTheBeginningOfALongTextIsAValue(t *testing.T) {
	body := []byte(`{"text":"Dear Ada,\nyour card 4111 is lost. ` + strings.Repeat("lorem ipsum ", 10_000) + `"}`)
	if values := valuesSent(nil, body); len(values) != 2 || !strings.HasPrefix(values[1], "Dear Ada,\nyour card 4111") {
		t.Errorf("%d values", len(values))
	}
}
