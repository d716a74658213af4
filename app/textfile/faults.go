package textfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a file.
type Fault struct {
	File  string
	Line  int    // 1 for the first line; 0 when the fault is of no line
	Path  string // where in the file, such as destinations[2].url or /properties/total; "" for the file as a whole
	Msg   string // what is wrong and the cure; never a secret
	Cause error  // such as fs.ErrNotExist, or nil
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

// Unwrap returns the Cause.
func (f *Fault) Unwrap() error { return f.Cause }

// Faults are all faults of one or several files, as one error.
type Faults struct{ list []*Fault }

// NewFaults sorts list by file and line. Without any the error is nil.
func NewFaults(list ...*Fault) error {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line)
	})
	return &Faults{list: list}
}

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

// List returns the faults sorted by file and line.
func (f *Faults) List() []*Fault { return slices.Clone(f.list) }
