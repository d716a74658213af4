package webhook

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const longest = time.Hour
	for value, want := range map[string]time.Duration{
		"0": 0, "00": 0, "0.0": 0, "-0": 0, "-1": 0, "-0.5": 0, "-1e": -1, "7": 7 * time.Second, "+7": 7 * time.Second, " 7\t": 7 * time.Second, "007": 7 * time.Second,
		"1.5": 1500 * time.Millisecond, "0.001": time.Millisecond, ".5": 500 * time.Millisecond, "5.": 5 * time.Second, "3599.9": 3599900 * time.Millisecond,
		"3600": longest, "3600.1": longest, "9223372036854775807": longest, "18446744073709551616": longest, strings.Repeat("9", 400): longest, "-" + strings.Repeat("9", 400): 0,
		// What is neither is as good as nothing.
		"": -1, " ": -1, ".": -1, "-": -1, "+-7": -1, "--7": -1, "1.2.3": -1, "1,5": -1, "1e3": -1, "0x10": -1, "1_000": -1, "Inf": -1, "NaN": -1, "infinity": -1, "soon": -1,
		"7s": -1, "7 seconds": -1, "7, 9": -1, "٧": -1, "Fri, 02 Jan 2026": -1, "2026-01-02T03:05:05Z": -1, "Fri, 02 Jan 2026 03:05:05 +0100": -1, "Fri, 32 Jan 2026 03:05:05 GMT": -1,
		// The three forms of a date, to come and past.
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Friday, 02-Jan-26 03:05:05 GMT": time.Minute, "Fri Jan  2 03:05:05 2026": time.Minute,
		"Fri, 02 Jan 2026 03:04:05 GMT": 0, "Thu, 01 Jan 1970 00:00:00 GMT": 0, "Friday, 02-Jan-26 03:00:05 GMT": 0, "Fri Jan  2 03:00:05 2026": 0,
		"Fri, 31 Dec 9999 23:59:59 GMT": longest,
	} {
		wait, asked := retryAfter(value, now, longest)
		if !asked {
			wait = -1
		}
		if wait != want {
			t.Errorf("%.40q: %s, want %s", value, wait, want)
		}
	}
}

// Whatever a receiver sends, a wait is between none and the longest, and a date
// in any form is the same wait.
func TestRetryAfterIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[+-]?[0-9]{0,30}\.?[0-9]{0,30}`)).Draw(rt, "value")
		longest := time.Duration(rapid.Int64Range(0, 1<<62).Draw(rt, "longest"))
		if wait, asked := retryAfter(value, now, longest); wait < 0 || wait > longest || !asked && wait != 0 {
			rt.Errorf("%s, %t", wait, asked)
		}
		at := now.Add(time.Duration(rapid.IntRange(-1e6, 1e6).Draw(rt, "seconds")) * time.Second)
		for _, layout := range []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
			if wait, asked := retryAfter(at.Format(layout), now, 1<<62); !asked || wait != max(at.Sub(now), 0) {
				rt.Errorf("%s: %s, %t", at.Format(layout), wait, asked)
			}
		}
	})
}
