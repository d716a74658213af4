package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"eventserver/router/plural"
	"eventserver/router/poison"
)

// word is a value that others chose, as one word that a terminal can show.
func word(s string) string {
	if s == "" {
		return "-"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' || r == '"' }) {
		return strconv.Quote(s)
	}
	return s
}

// phrase is word for texts.
func phrase(s string, most int) string {
	q := strconv.Quote(s)
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	if r := []rune(q); most > 0 && len(r) > most {
		q = string(r[:most]) + "..."
	}
	return q
}

func agoOf(t time.Time, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return ago(&t, now)
}

func poisonTable(w io.Writer, items []poison.Item, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DESTINATION\tPOSITION\tEVENT\tKEY\tTYPE\tCLASS\tREASON\tATTEMPTS\tLAST\tREDRIVES\tDETAIL")
	for _, i := range items {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%d\t%s\n", i.Destination, i.Position, word(i.EventID), word(i.Key), word(i.Type),
			i.Class, word(i.Reason), i.Attempts, agoOf(i.Last, now), i.Redrives, missing(i)+phrase(i.Detail, 60))
	}
	return t.Flush()
}

// missing tells of the parts that the poison queue does not have.
func missing(i poison.Item) string {
	if len(i.LeftOut) == 0 {
		return ""
	}
	return "[without " + phrase(strings.Join(i.LeftOut, ", "), 60) + "] "
}

func poisonCountTable(w io.Writer, c poison.Counts, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DESTINATION\tCLASS\tREASON\tCOUNT\tOLDEST\tNEWEST")
	for _, d := range c.Destinations {
		if d.Count == 0 {
			fmt.Fprintf(t, "%s\t-\t-\t0\t-\t-\n", d.Destination)
		}
		oldest, newest := agoOf(d.Oldest, now), agoOf(d.Newest, now)
		for _, r := range d.Reasons {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", d.Destination, r.Class, word(r.Reason), r.Count, oldest, newest)
			oldest, newest = "", ""
		}
	}
	fmt.Fprintf(t, "all\t\t\t%d\t\t\n", c.Count)
	return t.Flush()
}

func poisonRecords(w io.Writer, found poison.Found, now time.Time) error {
	for n, r := range found.Records {
		if n > 0 {
			fmt.Fprintln(w)
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		line := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
		line("event", "%s", word(r.EventID))
		line("destination", "%s, at %s of its poison queue", r.Destination, r.Position)
		line("key", "%s", word(r.Key))
		line("type", "%s", word(r.Type))
		line("accepted", "%s ago, sequence %d", agoOf(r.ReceivedAt, now), r.Sequence)
		line("given up", "%s ago by the %s stage (%s: %s) after %s", agoOf(r.PoisonedAt, now), word(r.Stage), r.Class, word(r.Reason), plural.Count(r.Attempts, "attempt"))
		line("attempts", "first %s ago, last %s ago", agoOf(r.First, now), agoOf(r.Last, now))
		line("detail", "%s", phrase(r.Detail, 0))
		line("redriven", "%s before", plural.Count(r.Redrives, "time"))
		if m := r.Settled; m != nil {
			line("settled", "%s %s ago by %s (run %s)", m.Mark, agoOf(m.At, now), word(m.By), word(m.Run))
		} else {
			line("settled", "no: it waits for an operator")
		}
		line("payload", "%s", plural.Count(r.Size, "byte"))
		switch {
		case len(r.LeftOut) == 0:
		case r.Gone == "":
			line("left out", "%s: larger than the broker takes; read from %s", phrase(strings.Join(r.LeftOut, ", "), 0), word(r.Source))
		default:
			line("left out", "%s: larger than the broker takes; %s does not have it any more: %s", phrase(strings.Join(r.LeftOut, ", "), 0), word(r.Source), phrase(r.Gone, 0))
		}
		for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
			line("header", "%s: %s", word(name), phrase(r.Headers[name], 0))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if len(r.Data) > 0 {
			fmt.Fprintln(w, phrase(string(r.Data), 0))
		} else if len(r.DataBase64) > 0 {
			fmt.Fprintln(w, strconv.Quote(string(r.DataBase64)))
		}
	}
	return nil
}

func poisonRunText(w io.Writer, r poison.Run, now time.Time) error {
	would, fail := "", "failed"
	if r.DryRun {
		would, fail = "would be ", "would fail"
	}
	parts := []string{}
	for _, c := range []struct {
		n    int
		text string
	}{
		{r.Redriven, would + "redriven"}, {r.Discarded, would + "discarded"}, {r.Skipped, would + "settled, the destination does not want them now"},
		{r.Failed, fail + " again and stay"}, {r.Refused, would + "refused: redriven too often before"}, {r.Behind, would + "left behind an earlier item of their key"},
		{r.Recovered, "marked that a killed run had sent"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.text))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing matches"}
	}
	fmt.Fprintf(w, "%s %s: %s\n", r.Action, r.State, strings.Join(parts, "; "))
	if len(r.First) > 0 {
		if err := poisonTable(w, r.First, now); err != nil {
			return err
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "left: %s %s %s: %s\n", p.Destination, p.Position, word(p.EventID), phrase(p.Why, 200))
	}
	return nil
}
