package quick

import (
	"errors"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// format is a format that is asserted, with what a byte of text costs.
type format struct {
	name    string
	valid   func(string) bool
	perByte int              // quarters of a step; measured on texts of 100 KB that take long
	longest int              // bytes; a longer text is refused unread; 0: none is
	extra   func(string) int // steps beside; nil: none
}

func (f *format) ok(r *run, v any) bool {
	s, isText := v.(string)
	if !isText {
		return true
	}
	n := len(s)
	if f.longest > 0 {
		n = min(n, f.longest)
	}
	cost := 1 + n*f.perByte/4
	if f.extra != nil {
		cost += f.extra(s)
	}
	return r.spend(cost) && f.valid(s)
}

// ownFormats take the place of the library's, which let pass what the RFCs and the
// official suite refuse (a URI with spaces, P1Y2D) or refuse what they allow.
var ownFormats = map[string]*format{
	"duration":      {valid: matches(durationRE), perByte: 64},
	"email":         {valid: isEmail, perByte: 16, longest: 254},
	"hostname":      {valid: isHostname, perByte: 32, longest: 253},
	"ipv4":          {valid: isIPv4, perByte: 1},
	"uri":           {valid: isURI(uriRE), perByte: 32},
	"uri-reference": {valid: either(isURI(uriRE), isURI(relativeRE)), perByte: 64},
	"iri":           {valid: isURI(iriRE), perByte: 32},
	"iri-reference": {valid: either(isURI(iriRE), isURI(irelativeRE)), perByte: 64},
	"uri-template":  {valid: matches(templateRE), perByte: 32},
	"uuid":          {valid: isUUID, perByte: 1, longest: 36},
	"regex":         {valid: isRegex, perByte: 40, extra: regexCost},
}

// errFormat has no text: messages are made from the table of formats.
var errFormat = errors.New("not of the format")

// library is f as the library takes it.
func (f *format) library(name string) *jsonschema.Format {
	return &jsonschema.Format{Name: name, Validate: func(v any) error {
		if s, ok := v.(string); ok && !f.valid(s) {
			return errFormat
		}
		return nil
	}}
}

// newFormat is the format that the library has found, or ours of its name.
func newFormat(f *jsonschema.Format) *format {
	if f == nil {
		return nil
	}
	if own := ownFormats[f.Name]; own != nil {
		named := *own
		named.name = f.Name
		return &named
	}
	return &format{name: f.Name, valid: func(s string) bool { return f.Validate(s) == nil }, perByte: 4}
}

// isRegex parses only: to compile x{1000} takes a thousand times its text.
func isRegex(s string) bool {
	_, err := syntax.Parse(s, syntax.Perl)
	return err == nil
}

// regexCost is of what takes long to parse: a class of Unicode has hundreds of
// ranges, and a range without case is gone through character by character, which
// is long where it ends outside of ASCII.
func regexCost(s string) int {
	cost := len(s)*len(s)/8000 + 4000*(strings.Count(s, `\p`)+strings.Count(s, `\P`))
	if !strings.Contains(s, "(?") {
		return cost
	}
	for i := range len(s) - 1 {
		switch {
		case s[i] == '-' && (s[i+1] == '\\' || s[i+1] >= utf8.RuneSelf):
			cost += 120_000
		case s[i] == '-', s[i] == '\\': // a class such as \W
			cost += 200
		}
	}
	return cost
}

func matches(re *regexp.Regexp) func(string) bool { return re.MatchString }

func either(a, b func(string) bool) func(string) bool {
	return func(s string) bool { return a(s) || b(s) }
}

// durationRE is RFC 3339, appendix A: units follow each other without a gap.
var durationRE = regexp.MustCompile(`^P(?:\d+W|(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)(?:` + timeRE + `)?|` + timeRE + `)$`)

const timeRE = `T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S)`

var hostnameRE = regexp.MustCompile(`^` + label + `(?:\.` + label + `)*$`)

const label = `[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?`

// isHostname is RFC 1123. A label that begins with xn-- is not decoded; others
// keep "--" out of their third and fourth place, as RFC 5891 asks.
func isHostname(s string) bool {
	if len(s) > 253 || !hostnameRE.MatchString(s) {
		return false
	}
	for l := range strings.SplitSeq(s, ".") {
		if len(l) >= 4 && l[2:4] == "--" && !strings.EqualFold(l[:2], "xn") {
			return false
		}
	}
	return true
}

const atext = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"

var localRE = regexp.MustCompile(`^(?:` + atext + `(?:\.` + atext + `)*|"(?:[^"\\\x00-\x1f\x7f-\x{10ffff}]|\\[\x20-\x7e])*")$`)

// isEmail is a mailbox of RFC 5321 in ASCII.
func isEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 || !localRE.MatchString(s[:at]) {
		return false
	}
	domain := s[at+1:]
	if !strings.HasPrefix(domain, "[") {
		return isHostname(domain)
	}
	literal, closed := strings.CutSuffix(domain[1:], "]")
	if six, ok := strings.CutPrefix(literal, "IPv6:"); ok {
		return closed && isIPv6(six)
	}
	return closed && isIPv4(literal)
}

func isIPv4(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}

func isIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && addr.Zone() == ""
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}

// The grammars of RFC 3986 (URI) and RFC 3987 (IRI), which has more characters.
const (
	uriChar = `\-A-Za-z0-9._~!$&'()*+,;=`
	iriChar = uriChar + `\x{a0}-\x{d7ff}\x{f900}-\x{fdcf}\x{fdf0}-\x{ffef}\x{10000}-\x{efffd}`
	private = `\x{e000}-\x{f8ff}\x{f0000}-\x{10fffd}`
	pct     = `%[0-9A-Fa-f]{2}`
	scheme  = `[A-Za-z][A-Za-z0-9+.-]*:`
	literal = `\[(?:[Vv][0-9A-Fa-f]+\.[` + uriChar + `:]+|[0-9A-Fa-f:.]+)\]`
)

var (
	uriRE       = regexp.MustCompile(grammar(uriChar, uriChar, true))
	relativeRE  = regexp.MustCompile(grammar(uriChar, uriChar, false))
	iriRE       = regexp.MustCompile(grammar(iriChar, iriChar+private, true))
	irelativeRE = regexp.MustCompile(grammar(iriChar, iriChar+private, false))
)

func grammar(chars, query string, absolute bool) string {
	char := func(set string) string { return `(?:[` + set + `]|` + pct + `)` }
	seg := char(chars + `:@`)
	authority := `(?:` + char(chars+`:`) + `*@)?(?:` + literal + `|` + char(chars) + `*)(?::\d*)?`
	first, start := seg, scheme
	if !absolute { // a colon would end a scheme
		first, start = char(chars+`@`), ``
	}
	rest := `(?:/` + seg + `*)*`
	hier := `(?://` + authority + rest + `|/(?:` + seg + `+` + rest + `)?|` + first + `+` + rest + `|)`
	return `^` + start + hier + `(?:\?` + char(query+`:@/?`) + `*)?(?:#` + char(chars+`:@/?`) + `*)?$`
}

// isURI checks also the address in brackets, which a regular expression cannot.
func isURI(re *regexp.Regexp) func(string) bool {
	return func(s string) bool {
		if !re.MatchString(s) {
			return false
		}
		open := strings.IndexByte(s, '[')
		if open < 0 || s[open+1] == 'v' || s[open+1] == 'V' {
			return true
		}
		return isIPv6(s[open+1 : strings.IndexByte(s, ']')])
	}
}

// templateRE is RFC 6570.
var templateRE = regexp.MustCompile(`^(?:[^\x00-\x20\x7f"%<>\\^` + "`" + `{|}]|` + pct +
	`|\{[+#./;?&]?` + varspec + `(?:,` + varspec + `)*\})*$`)

const (
	varchar = `(?:[A-Za-z0-9_]|` + pct + `)`
	varspec = varchar + `(?:\.?` + varchar + `)*(?:\*|:[1-9][0-9]{0,3})?`
)
