package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration file.
type Fault struct {
	File string
	Line int    // 1 for the first line; 0 when the fault is of no line
	Path string // e.g. "destinations[2].url"; empty for the file as a whole
	Msg  string // what is wrong and the cure; never a secret
	err  error
}

// Error is the fault on one line: file:line: path: message.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Msg)
	return b.String()
}

// Unwrap returns the cause, such as fs.ErrNotExist, or nil.
func (f *Fault) Unwrap() error { return f.err }

// Faults is the error of Load, Parse and Settings.Decode: all faults, sorted
// by line.
type Faults struct{ list []*Fault }

// Error lists the faults, one a line.
func (f *Faults) Error() string {
	lines := make([]string, len(f.list))
	for i, fault := range f.list {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults, each a *Fault.
func (f *Faults) Unwrap() []error {
	errs := make([]error, len(f.list))
	for i, fault := range f.list {
		errs[i] = fault
	}
	return errs
}

// List returns the faults sorted by line.
func (f *Faults) List() []*Fault { return slices.Clone(f.list) }

// newFaults sorts and hides. The same fault found twice is kept once: the
// common keys of a destination and those of its kind are read from one
// mapping, so a duplicate key is seen by both.
func newFaults(list []*Fault, hide *hider) error {
	if len(list) == 0 {
		return nil
	}
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
	slices.SortStableFunc(kept, func(a, b *Fault) int { return a.Line - b.Line })
	return &Faults{list: kept}
}

// hideFrom is the shortest value worth hiding in a text: replacing shorter
// ones would garble ordinary words, and tell by the garbling what they are.
const hideFrom = 6

// hider takes values out of messages that others wrote. Our own messages never
// hold a secret; this is the second line of defence, for a kind whose Validate
// does, and for environment variables put where they do not belong.
type hider struct{ values map[string]string }

func (h *hider) add(value, shown string) {
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
	for _, q := range []string{fmt.Sprintf("%q", value), quote(value)} {
		h.values[q[1:len(q)-1]] = shown
	}
}

func (h *hider) addAll(o *hider) {
	for v, s := range o.values {
		h.add(v, s)
	}
}

// cleaner is the function that does it.
func (h *hider) cleaner() func(string) string {
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
