package explain

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Text writes an explanation for a person who has never seen one: what is known
// of the event, then for each destination its state, why, and what to do.
func Text(w io.Writer, e *Explanation) error {
	var b strings.Builder
	fmt.Fprintf(&b, "event %s\n", line(e.EventID))
	for _, a := range e.Accepted {
		at := a.Received
		if at.IsZero() {
			at = a.Stored
		}
		fmt.Fprintf(&b, "  accepted %s (%s), type %s, key %s, topic %s/%d offset %d\n",
			clock(at), ago(e.At, at), dash(a.Type), dash(a.Key), a.Topic, a.Partition, a.Offset)
		if a.Undecodable != "" {
			fmt.Fprintf(&b, "  its record cannot be read: %s\n", line(a.Undecodable))
		}
	}
	for _, n := range e.Notes {
		fmt.Fprintf(&b, "  note: %s\n", line(n))
	}
	for i := range e.Destinations {
		text(&b, e, &e.Destinations[i])
	}
	if len(e.Destinations) == 0 {
		b.WriteString("no destination is configured\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var headline = map[string]string{
	StateFiltered: "NOT WANTED", StateNotTransformed: "NOT TRANSFORMED YET", StateWaiting: "WAITING",
	StateAttempt: "BEING ATTEMPTED", StateRetrying: "RETRYING", StateBreaker: "HELD: the destination fails", StateHeld: "HELD: everybody's events fail",
	StatePaused: "HELD: the destination is paused", StateDelivered: "DELIVERED", StatePoisoned: "POISONED",
	StateDiscarded: "DISCARDED", StateTrimmed: "NOT KNOWN: its record is deleted", StateNothing: "NOT SENT",
}

func text(b *strings.Builder, e *Explanation, d *DestinationExplanation) {
	fmt.Fprintf(b, "\n%s: %s\n", d.ID, headline[d.State])
	fmt.Fprintf(b, "  why: %s\n", line(d.Why))
	if !d.Next.IsZero() {
		fmt.Fprintf(b, "  next: %s (%s)\n", clock(d.Next), ago(e.At, d.Next))
	} else if d.Behind != nil && !d.Behind.Next.IsZero() {
		fmt.Fprintf(b, "  next: %s goes on at %s (%s)\n", line(d.Behind.EventID), clock(d.Behind.Next), ago(e.At, d.Behind.Next))
	}
	if d.Do != "" {
		fmt.Fprintf(b, "  do: %s\n", line(d.Do))
	}
	if n := len(d.Records); n > 1 {
		fmt.Fprintf(b, "  note: it is there %d times, as after a replay or a redrive; this is about the last\n", n)
	}
}

// line keeps what others wrote on one line of a terminal.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // such as what turns the direction of writing
			return ' '
		}
		return r
	}, s)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return line(s)
}

func ago(now, t time.Time) string {
	d := now.Sub(t)
	if d < 0 {
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
