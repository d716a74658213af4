package strict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"eventserver/app/textfile"
)

// Fault is one thing wrong with a configuration file. Its Path is such as
// destinations[2].url.
type Fault = textfile.Fault

// Faults is the error of Load, Parse and Settings.Decode: all faults, sorted
// by line.
type Faults = textfile.Faults

// NewFaults hides and sorts. The same fault found twice is kept once: the
// common keys of a destination and those of its kind are read from one
// mapping, so a duplicate key is seen by both.
func NewFaults(list []*Fault, hide *Hider) error {
	type id struct {
		line      int
		path, msg string
	}
	clean := hide.cleaner()
	seen := map[id]bool{}
	var kept []*Fault
	for _, f := range list {
		c := *f
		c.Msg = clean(c.Msg)
		k := id{c.Line, c.Path, c.Msg}
		if !seen[k] {
			seen[k] = true
			kept = append(kept, &c)
		}
	}
	return textfile.NewFaults(kept...)
}

// hideFrom is the shortest value worth hiding in a text: replacing shorter
// ones would garble ordinary words, and tell by the garbling what they are.
const hideFrom = 6

// Hider takes values out of messages that others wrote. Our own messages never
// hold a secret; this is the second line of defence, for a kind whose Validate
// does, and for environment variables put where they do not belong.
type Hider struct{ values map[string]string }

func (h *Hider) add(value, shown string) {
	if len(value) < hideFrom {
		return
	}
	if h.values == nil {
		h.values = map[string]string{}
	}
	if old, ok := h.values[value]; ok && old == hiddenText {
		return
	}
	h.values[value] = shown
	// As it looks in quotes, whole and cut short.
	for _, q := range []string{fmt.Sprintf("%q", value), Quote(value)} {
		h.values[q[1:len(q)-1]] = shown
	}
}

// AddAll hides what another one hides too.
func (h *Hider) AddAll(o *Hider) {
	for v, s := range o.values {
		h.add(v, s)
	}
}

// cleaner is the function that does it.
func (h *Hider) cleaner() func(string) string {
	values := slices.SortedFunc(maps.Keys(h.values), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b)) // longest first: a secret may contain another
	})
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, h.values[v])
	}
	// In one pass: a replacement is not looked at again.
	hide := strings.NewReplacer(pairs...)
	return func(msg string) string {
		// One fault is one line, whatever a kind wrote.
		lines := strings.FieldsFunc(hide.Replace(msg), func(r rune) bool { return r == '\n' || r == '\r' })
		return strings.Join(lines, "; ")
	}
}
