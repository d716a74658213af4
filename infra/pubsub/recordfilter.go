package pubsub

import "eventserver/infra"

// recordFilter is infra.Only as it is asked.
type recordFilter struct {
	header, mark string
	match        func(value string) bool // nil: everything is wanted
	onSkipped    func(n int)
}

func newRecordFilter(o infra.Only) recordFilter {
	if o.Match == nil {
		return recordFilter{}
	}
	if o.Skipped == nil {
		o.Skipped = func(int) {}
	}
	return recordFilter{o.Header, o.Mark, o.Match, o.Skipped}
}

// matches reports whether a record is wanted.
func (w *recordFilter) matches(rec *infra.Record) bool {
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
