package expr

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// ErrLimit is wrapped by the error of a run that was stopped because it cost
// too much, held too much or gave too large a result. Running it again gives
// the same error.
var ErrLimit = errors.New("expression limit exceeded")

const (
	// MaxEventBytes is the largest event whose body an expression reads.
	MaxEventBytes = 16 << 20
	// DefaultEventBytes is the default of http.max_event_bytes.
	DefaultEventBytes = 1 << 20

	// maxSteps is in CEL's cost units, each a constant amount of work: 50 ms at
	// worst. A filter over 8,000 items costs 24,000.
	maxSteps = 150_000
	// maxAlloc bounds the bytes that the functions and literals of one run
	// allocate. The steps add at most a third of it.
	maxAlloc = 44 << 20
	// maxRead bounds the time for reading the event's JSON, in ns: 8 MiB of objects
	// with short names and values, or 16 MiB that are mostly text, twice over.
	maxRead = 48 << 20
	// maxWork bounds that for what grows with the sizes of arguments, in ns, beside
	// 2 for each byte of the largest event: size() of its longest text.
	maxWork = 20 << 20
	// free is work, in ns, and memory, in bytes, that is part of a step.
	free = 64
	// interruptEvery is how many steps of a comprehension pass between two
	// looks at the context.
	interruptEvery = 64
	// maxDepth bounds the nesting of one value; ingestion allows 64 levels.
	maxDepth = 128
	// maxRange bounds lists.range.
	maxRange = 10_000
	// maxSource bounds an expression's text, in characters.
	maxSource = 16 << 10
	// maxNesting bounds the nesting of an expression.
	maxNesting = 100
	// maxProgram bounds a pattern's instructions; a UUID takes about 40.
	maxProgram = 500
	// maxPattern bounds the text of a pattern that is only known when the
	// expression runs: it is compiled each time.
	maxPattern = 1000
	// maxParsed bounds a text that becomes a number, a time or a truth value.
	maxParsed = 1000
)

// limits are those of a run that follow from the largest event.
type limits struct {
	event  int // bytes of an event whose body is read
	read   int // ns
	work   int // ns
	alloc  int // bytes
	result int // bytes
}

// limitsFor derives the limits from http.max_event_bytes; 0 is its default.
// docs/expressions.md has the table.
func limitsFor(eventBytes int) limits {
	if eventBytes <= 0 {
		eventBytes = DefaultEventBytes
	}
	return limits{
		event:  MaxEventBytes,
		read:   maxRead,
		work:   maxWork + min(eventBytes, MaxEventBytes)*2,
		alloc:  maxAlloc,
		result: eventBytes + 1<<20,
	}
}

// meter counts what one run has cost beside its steps. Charging comes before the
// work that it pays for.
type meter struct {
	limits      limits
	read        int
	work, alloc int
	err         error     // what must has ended the run for
	stack       []ref.Val // arguments of the calls that are being made
}

// charge ends the run when work ns and alloc bytes more are too much.
func (m *meter) charge(work, alloc int) {
	// Each is at most some hundred times an event's size: no overflow.
	m.work += work
	m.alloc += alloc
	if m.work > m.limits.work {
		panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: "work"})
	}
	if m.alloc > m.limits.alloc {
		panic(interpreter.EvalCancelledError{Cause: interpreter.MemoryLimitExceeded, Message: "memory"})
	}
}

// reads ends the run when ns more of reading JSON are too much.
func (m *meter) reads(ns int) {
	m.read += ns
	if m.read > m.limits.read {
		panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: "reading"})
	}
}

// must ends the run with err, where CEL's interfaces have no room for one.
func (m *meter) must(err error) {
	if err != nil {
		m.err = err
		panic(interpreter.EvalCancelledError{Message: err.Error()})
	}
}

// stopped is the error of a run that a limit has ended, and nil for another.
func stopped(err error) error {
	var e interpreter.EvalCancelledError
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Cause {
	case interpreter.CostLimitExceeded:
		return fmt.Errorf("%w: it costs too much; use fewer or smaller loops, or give the functions less text", ErrLimit)
	case interpreter.MemoryLimitExceeded:
		return fmt.Errorf("%w: it needs more than %d MiB of memory; make fewer or smaller values", ErrLimit, maxAlloc>>20)
	}
	return nil
}
