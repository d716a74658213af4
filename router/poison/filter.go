package poison

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"eventserver/router"
	"eventserver/router/record"
)

// filter is an Filter that was understood.
type filter struct {
	class, reason, typ, key, event string
	at                             *record.Position
	since, until                   time.Time // zero: open
}

// parse reads f, or says what cannot be meant.
func parse(f Filter, now time.Time) (*filter, error) {
	m := &filter{class: f.Class, reason: f.Reason, typ: f.Type, key: f.Key, event: f.EventID}
	switch f.Class {
	case "", record.ClassPipeline, record.ClassReceiver:
	default:
		return nil, invalid(fmt.Sprintf("reason_class: %.40q is not pipeline or receiver", f.Class))
	}
	if all := record.Reasons(""); f.Reason != "" && !slices.Contains(all, f.Reason) {
		return nil, invalid(fmt.Sprintf("reason: %.40q is not one of %s", f.Reason, strings.Join(all, ", ")))
	}
	if f.Class != "" && f.Reason != "" && record.ClassOf(f.Reason) != f.Class {
		return nil, invalid(fmt.Sprintf("reason: %s is of class %s, and reason_class says %s; leave one of them out", f.Reason, record.ClassOf(f.Reason), f.Class))
	}
	if p := strings.TrimSuffix(f.Type, ".*"); f.Type != "*" && strings.Contains(p, "*") {
		return nil, invalid(fmt.Sprintf("type: %.40q is not a pattern; write a whole type, a prefix with .* behind it, or *", f.Type))
	}
	if f.Position != "" {
		at, err := record.ParsePosition(f.Position)
		if err != nil {
			return nil, invalid("position: " + err.Error())
		}
		if f.Destination == "" {
			return nil, invalid("position: say in whose poison queue, with a destination")
		}
		m.at = &at
	}
	var err error
	if m.since, err = moment("since", f.Since, now); err != nil {
		return nil, err
	}
	if m.until, err = moment("until", f.Until, now); err != nil {
		return nil, err
	}
	if !m.since.IsZero() && !m.until.IsZero() && !m.since.Before(m.until) {
		return nil, invalid(fmt.Sprintf("since, until: %s is not before %s", stamp(m.since), stamp(m.until)))
	}
	return m, nil
}

// moment reads RFC 3339, or how long ago.
func moment(name, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	ago, err := time.ParseDuration(s)
	if err != nil || ago < 0 {
		return time.Time{}, invalid(fmt.Sprintf("%s: %.40q is neither a time such as 2026-01-02T15:04:05Z nor how long ago, such as 90m or 24h", name, s))
	}
	return now.Add(-ago), nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// singly reports whether one item was picked by hand.
func (f *filter) singly() bool { return f.event != "" || f.at != nil }

// narrow is whether a filter leaves anything out.
func narrow(f Filter) bool { return f != Filter{} }

// match reports whether an item is meant. It was given up at that time.
func (f *filter) match(g record.GivenUp, pos record.Position, at time.Time) bool {
	switch {
	case f.at != nil && *f.at != pos,
		f.event != "" && f.event != g.EventID,
		f.key != "" && f.key != g.Key,
		f.reason != "" && f.reason != g.Reason,
		f.class != "" && f.class != record.ClassOf(g.Reason),
		f.typ != "" && !router.MatchTypes([]string{f.typ}, g.EventType),
		!f.since.IsZero() && at.Before(f.since),
		!f.until.IsZero() && !at.Before(f.until):
		return false
	}
	return true
}

// words are a filter in an audit line, which has no key.
func words(f Filter, all bool) string {
	var out []string
	for _, w := range [][2]string{{"reason_class", f.Class}, {"reason", f.Reason}, {"type", f.Type}, {"event_id", f.EventID},
		{"position", f.Position}, {"since", f.Since}, {"until", f.Until}} {
		if w[1] != "" {
			out = append(out, w[0]+"="+w[1])
		}
	}
	if f.Key != "" {
		out = append(out, "key=(given)")
	}
	if all {
		out = append(out, "all")
	}
	return strings.Join(out, " ")
}
