package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfter reads a Retry-After: seconds, also as a decimal, or a date in one of
// HTTP's three forms.
//
//	120, +120          2 min
//	1.5, .5            1.5 s, 0.5 s: not in RFC 9110, but sent
//	0, -1, 0.0         0: no wait is asked for
//	a date             until then; 0 when it is past, by our clock
//	more than longest  longest
//	anything else      not asked
//
// A wait of 0 leaves the time to us: clocks differ, and an answer that is asked
// for again at once, for as long as it fails, would be a loop without a pause.
func retryAfter(value string, now time.Time, longest time.Duration) (wait time.Duration, asked bool) {
	value = strings.TrimSpace(value)
	if seconds, ok := decimal(value); ok {
		if seconds >= longest.Seconds() {
			return longest, true
		}
		return max(time.Duration(seconds*float64(time.Second)), 0), true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), longest), true
}

// decimal reads digits with at most one point and a sign: ParseFloat alone knows
// exponents, infinities and hexadecimal too. Too many digits are an infinity.
func decimal(s string) (f float64, ok bool) {
	digits := strings.TrimLeft(s, "+-")
	whole, part, _ := strings.Cut(digits, ".")
	if len(s)-len(digits) > 1 || whole+part == "" || strings.Trim(whole+part, "0123456789") != "" {
		return 0, false
	}
	f, _ = strconv.ParseFloat(s, 64) // of that form only a range error, at the nearest number there is
	return f, true
}
