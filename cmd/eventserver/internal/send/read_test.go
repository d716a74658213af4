package send

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sent reads all of in. The text has where each event is said to be.
func sent(in io.Reader, fill fill) (events []string, err error) {
	r := newReader(in, fill)
	for {
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, e.where()+": "+string(e.raw))
	}
}

func TestFillPutsMembersInFront(t *testing.T) {
	t.Parallel()
	all := fill{ID: "i", Type: "t", Key: "k"}
	huge := strings.Repeat("x", 3<<20)
	for name, c := range map[string]struct {
		fill     fill
		in, want string
	}{
		"nothing to add":            {fill{}, `{ "a" : 1.0 }`, `{ "a" : 1.0 }`},
		"empty object":              {all, `{}`, `{"id":"i","type":"t","key":"k"}`},
		"empty object with spaces":  {all, "{ \t\r\n}", `{"id":"i","type":"t","key":"k"` + " \t\r\n}"},
		"one of them":               {fill{Type: "t"}, `{"a":1}`, `{"type":"t","a":1}`},
		"the bytes stay":            {fill{Type: "t"}, "{\n\t\"b\" : 1e2 ,\"a\":\"\\u00e9é\", \"c\":-0.0}", "{\"type\":\"t\",\n\t\"b\" : 1e2 ,\"a\":\"\\u00e9é\", \"c\":-0.0}"},
		"it has them":               {all, `{"key":"k2","type":"t","id":"i"}`, `{"key":"k2","type":"t","id":"i"}`},
		"it has some":               {all, `{"a":[],"type":"t"}`, `{"id":"i","key":"k","a":[],"type":"t"}`},
		"a userId is its key":       {all, `{"userId":"u"}`, `{"id":"i","type":"t","userId":"u"}`},
		"nested ones are not its":   {all, `{"data":{"type":"x","key":1,"id":[]}}`, `{"id":"i","type":"t","key":"k","data":{"type":"x","key":1,"id":[]}}`},
		"another case is not it":    {fill{Type: "t"}, `{"Type":"x"}`, `{"type":"t","Type":"x"}`},
		"a name with escapes is it": {fill{Type: "t"}, `{"t\u0079pe":"\u0074"}`, `{"t\u0079pe":"\u0074"}`},
		"a text is no member":       {fill{Type: "t"}, `{"a":"{\"type\":\"x\"}"}`, `{"type":"t","a":"{\"type\":\"x\"}"}`},
		"values are quoted":         {fill{Key: "a\"\\\n<é\u2028"}, `{}`, "{\"key\":\"a\\\"\\\\\\n<é\u2028\"}"},
		"huge":                      {fill{Type: "t"}, `{"a":"` + huge + `"}`, `{"type":"t","a":"` + huge + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.fill.apply([]byte(c.in))
			require.NoError(t, err)
			assert.True(t, string(got) == c.want, "got %.200q, want %.200q", got, c.want)
		})
	}
}

func TestFillRefusesWhatSaysOtherwise(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"type":"order.paid"}`:                       `line 1: its type is "order.paid", and --type says "order.placed"; leave --type out, or send the others apart`,
		"\n\n{\"a\":1,\"type\":\"\"}":                 `line 3: its type is "", and --type says "order.placed"; leave --type out, or send the others apart`,
		`{"type":null}`:                               `line 1: its type is null, and --type says "order.placed"; leave --type out, or send the others apart`,
		`{"type":["order.placed"]}`:                   `line 1: its type is ["order.placed"], and --type says "order.placed"; leave --type out, or send the others apart`,
		`{"id":"e2"}`:                                 `line 1: its id is "e2", and --id says "e1"; leave --id out, or send the others apart`,
		`{"type":"` + strings.Repeat("é", 300) + `"}`: `line 1: its type is "` + strings.Repeat("é", 199) + `... (602 bytes), and --type says "order.placed"; leave --type out, or send the others apart`,
		"{\"type\":\"\u009b31m\"}":                    `line 1: its type is "\u009b31m", and --type says "order.placed"; leave --type out, or send the others apart`,
	} {
		_, err := sent(strings.NewReader(in), fill{Type: "order.placed", ID: "e1"})
		assert.EqualError(t, err, want)
	}
}

func TestSendReads(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		want []string
		err  string
	}{
		"nothing":             {in: ""},
		"spaces":              {in: " \r\n\n"},
		"one":                 {in: `{"a":1}`, want: []string{`line 1: {"a":1}`}},
		"one of many lines":   {in: "\n{\n\"a\":\n1}\n", want: []string{"line 2: {\n\"a\":\n1}"}},
		"NDJSON":              {in: "{\"a\":1}\n{\"a\":2}\r\n\r\n{\"a\":3}\n", want: []string{`line 1: {"a":1}`, `line 2: {"a":2}`, `line 4: {"a":3}`}},
		"no end of the line":  {in: `{"a":1} {"a":2}{"a":3}`, want: []string{`line 1: {"a":1}`, `line 1: {"a":2}`, `line 1: {"a":3}`}},
		"an array":            {in: "[{\"a\":1},\n {\"a\":2}\n,{\"a\":3}]\n", want: []string{`line 1, [0]: {"a":1}`, `line 2, [1]: {"a":2}`, `line 3, [2]: {"a":3}`}},
		"an empty array":      {in: ` [ ] `},
		"a byte order mark":   {in: "\xef\xbb\xbf{\"a\":1}\n{}", want: []string{`line 1: {"a":1}`, `line 2: {}`}},
		"a mark alone":        {in: "\xef\xbb\xbf"},
		"a mark inside":       {in: "{}\n\xef\xbb\xbf{}", want: []string{`line 1: {}`}, err: `line 2: not valid JSON: a value is expected, not '...`},
		"UTF-16":              {in: "\xff\xfe{\x00}\x00", err: `line 1: not valid JSON: a value is expected, not '\xff'`},
		"invalid UTF-8":       {in: "{}\n{\"a\":\n\"\xff\"}", want: []string{`line 1: {}`}, err: `line 2: not valid JSON in line 3: it is not UTF-8`},
		"a name twice":        {in: `{"a":{"b":1,"b":2}}`, err: `line 1: /a/b is given more than once; send each name once`},
		"not whole":           {in: "{}\n{\"a\":1\n", want: []string{`line 1: {}`}, err: `line 2: the JSON ends too early; send it whole`},
		"an array not whole":  {in: "[{}\n,", want: []string{`line 1, [0]: {}`}, err: `line 2: the JSON ends too early; send it whole`},
		"an open array":       {in: "[{}", want: []string{`line 1, [0]: {}`}, err: `line 1: the JSON ends too early; send it whole`},
		"no comma":            {in: "[{} {}]", want: []string{`line 1, [0]: {}`}, err: `line 1: not valid JSON: a comma or ] is expected, not '{'`},
		"commas between":      {in: "{},\n{}", want: []string{`line 1: {}`}, err: `line 1: not valid JSON: a value is expected, not ','`},
		"a string":            {in: `"a"`, err: `line 1: an event is a JSON object, not a string`},
		"null":                {in: "{}\nnull", want: []string{`line 1: {}`}, err: `line 2: an event is a JSON object, not null`},
		"numbers in an array": {in: "[{},\n12]", want: []string{`line 1, [0]: {}`}, err: `line 2, [1]: an event is a JSON object, not a number`},
		"arrays in an array":  {in: `[[{}]]`, err: `line 1, [0]: an event is a JSON object, not an array`},
		"two arrays":          {in: "[{}]\n[{}]", want: []string{`line 1, [0]: {}`}, err: `line 2: something follows the array; send one array, or objects without one around them`},
		"an array behind":     {in: "{}\n[{}]", want: []string{`line 1: {}`}, err: `line 2: an event is a JSON object, not an array`},
		"a bracket too many":  {in: "{}}", want: []string{`line 1: {}`}, err: `line 1: not valid JSON: a value is expected, not '}'`},
		"a bracket alone":     {in: "]", err: `line 1: not valid JSON: a value is expected, not ']'`},
		"a text":              {in: "order.json", err: `line 1: not valid JSON: a value is expected, not 'o'`},
	} {
		t.Run(name, func(t *testing.T) {
			for how, in := range map[string]io.Reader{"at once": strings.NewReader(c.in), "by bytes": iotest.OneByteReader(strings.NewReader(c.in)), "EOF with data": iotest.DataErrReader(strings.NewReader(c.in))} {
				got, err := sent(in, fill{})
				assert.Equal(t, c.want, got, how)
				if start, ok := strings.CutSuffix(c.err, "..."); ok { // it depends on how much was read
					assert.ErrorContains(t, err, start, how)
				} else if c.err == "" {
					assert.NoError(t, err, how)
				} else {
					assert.EqualError(t, err, c.err, how)
				}
			}
		})
	}
}

func TestSendReadsOneEventWithAnID(t *testing.T) {
	t.Parallel()
	got, err := sent(strings.NewReader("{}\n\n"), fill{ID: "e1"})
	require.NoError(t, err)
	assert.Equal(t, []string{`line 1: {"id":"e1"}`}, got)
	got, err = sent(strings.NewReader("{}\n{}"), fill{ID: "e1"})
	assert.EqualError(t, err, "line 2: --id is for a single event, and this is the second; write the ids into the events")
	assert.Empty(t, got, "none was handed out")
	got, err = sent(strings.NewReader("{}\n{"), fill{ID: "e1"})
	assert.EqualError(t, err, "line 2: the JSON ends too early; send it whole")
	assert.Empty(t, got)
}

func TestSendReadsOnWhatFails(t *testing.T) {
	t.Parallel()
	got, err := sent(io.MultiReader(strings.NewReader("{}\n{"), iotest.ErrReader(errors.New("the disk is gone"))), fill{})
	assert.EqualError(t, err, "line 2: cannot read on: the disk is gone")
	assert.Equal(t, []string{"line 1: {}"}, got)
}

// endless is a text of repeated parts that counts what was read of it.
type endless struct {
	head, part []byte
	read       int
}

func (e *endless) Read(p []byte) (n int, err error) {
	if len(e.head) == 0 {
		e.head = e.part
	}
	n = copy(p, e.head)
	e.head = e.head[n:]
	e.read += n
	return n, nil
}

// An endless stream of events is read as far as it is asked for, and an endless
// event is given up.
func TestSendStreams(t *testing.T) {
	t.Parallel()
	in := &endless{part: []byte("{\"n\":1}\n")}
	r := newReader(in, fill{Type: "t"})
	for n := range 100_000 {
		e, err := r.next()
		if err != nil || e.line != n+1 {
			t.Fatalf("event %d: line %d, %v", n, e.line, err)
		}
		if in.read > (n+1)*8+128<<10 {
			t.Fatalf("event %d: read ahead to %d, more than its buffers hold", n, in.read)
		}
	}
	in = &endless{head: []byte("{}\n{\"a\":\""), part: bytes.Repeat([]byte("x"), 64<<10)}
	got, err := sent(in, fill{})
	assert.EqualError(t, err, "line 2: the event is larger than 16 MiB; send less, or a link to it")
	assert.Len(t, got, 1)
}

// What a fuzzer or a user makes of it: the events are those of the input.
func FuzzSendReads(f *testing.F) {
	for _, s := range []string{"{}", `{"a":1}` + "\n" + `{"type":"x"}`, `[{"a":[]} , {}]`, "\xef\xbb\xbf{}", "{\n}\n\n[", `{"t\u0079pe":1}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r := newReader(strings.NewReader(in), fill{Type: "t"})
		for last := 1; ; {
			e, err := r.next()
			if err != nil {
				return
			}
			if e.line < last || e.line > 1+strings.Count(in, "\n") {
				t.Fatalf("%q: line %d after %d", in, e.line, last)
			}
			last = e.line
			raw := string(e.raw)
			if !strings.Contains(in, raw) {
				raw = "{" + strings.TrimPrefix(strings.TrimPrefix(raw, `{"type":"t"`), ",")
			}
			if !strings.Contains(in, raw) {
				t.Fatalf("%q: the event %q is not in it", in, e.raw)
			}
		}
	})
}
