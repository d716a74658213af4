package webhook

import (
	"fmt"
	"strings"
	"testing"

	"eventserver/destinations/redact"
)

// answered is a failed request with a body, and its answer with the number of the request.
type answered struct{ name, body, answer string }

func answersTo1MiB() (all []answered) {
	for name, format := range map[string]string{
		"words":   "%d plain word value",
		"1 KiB":   "%d" + strings.Repeat(" lorem ipsum dolor", 57),
		"text":    "%d" + strings.Repeat(" lorem ipsum dolor", 60_000),
		"escapes": `%d é \"quoted\" & <b>value<\/b>`,
	} {
		var list strings.Builder
		for n := 0; list.Len() < 1<<20; n++ {
			fmt.Fprintf(&list, `,"`+format+`"`, n)
		}
		body := "[" + list.String()[1:] + "]"
		for what, answer := range map[string]string{
			"sentence": "the field customer.address.city is required, request %d",
			"page":     "<h1>502</h1><!-- %d -->" + strings.Repeat("<p>upstream connect error or disconnect/reset before headers</p>\n", 1_000),
			"echo":     "request %d was refused, your request: " + body[:1<<10],
		} {
			all = append(all, answered{name: name + "/" + what, body: body, answer: answer})
		}
	}
	return all
}

// BenchmarkAnswer is what it costs to keep the answer to a failed request of 1 MiB, one
// of its own for each event. One that each event gets is kept once.
func BenchmarkAnswer(b *testing.B) {
	for _, a := range answersTo1MiB() {
		b.Run(a.name, func(b *testing.B) {
			r, n := redact.New("a-secret-of-some-length"), 0
			for b.Loop() {
				n++
				answer := strings.Replace(a.answer, "%d", fmt.Sprint(n), 1)
				r.TextOf(answer, false, func() []string { return valuesSent(nil, []byte(a.body)) })
			}
		})
	}
}
