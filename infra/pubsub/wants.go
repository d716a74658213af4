package pubsub

import "eventserver/infra"

// wants is infra.Only as it is asked.
type wants struct {
	header, mark string
	match        func(value string) bool // nil: everything is wanted
	skipped      func(n int)
}

func newWants(o infra.Only) wants {
	if o.Match == nil {
		return wants{}
	}
	if o.Skipped == nil {
		o.Skipped = func(int) {}
	}
	return wants{o.Header, o.Mark, o.Match, o.Skipped}
}

// rec reports whether a record is wanted.
func (w *wants) rec(rec *infra.Record) bool {
	if w.match == nil {
		return true
	}
	value, marked := valueOf(rec, w.header, w.mark)
	return !marked || w.match(string(value))
}

// valueOf is the value of a record's header, and whether it has another one.
func valueOf(rec *infra.Record, header, mark string) (value []byte, marked bool) {
	marked = mark == ""
	for _, h := range rec.Headers {
		if string(h.Key) == header {
			value = h.Value
		}
		if string(h.Key) == mark {
			marked = true
		}
	}
	return value, marked
}
