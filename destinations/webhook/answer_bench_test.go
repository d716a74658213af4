package webhook

import (
	"fmt"
	"strings"
	"testing"

	"eventserver/destinations/redact"
)

// BenchmarkAnswer is what it costs to keep the answer to a failed request of 1 MiB: one
// that each event gets, and one of its own for each.
func BenchmarkAnswer(b *testing.B) {
	for name, body := range map[string]string{
		"words": `["` + strings.Repeat(`plain word value","`, 60_000) + `x"]`,
		"1 KiB": `["` + strings.Repeat(strings.Repeat("lorem ipsum dolor ", 57)+`","`, 1_000) + `x"]`,
		"text":  `{"text":"` + strings.Repeat("lorem ipsum dolor ", 60_000) + `"}`,
	} {
		for _, own := range []bool{false, true} {
			r := redact.New("a-secret-of-some-length")
			n := 0
			b.Run(fmt.Sprintf("%s/own=%v", name, own), func(b *testing.B) {
				for b.Loop() {
					answer := "the field customer.address.city is required, request 17"
					if n++; own {
						answer = fmt.Sprint("the field customer.address.city is required, request ", n)
					}
					r.TextOf(answer, false, func() []string { return valuesSent(nil, []byte(body)) })
				}
			})
		}
	}
}
