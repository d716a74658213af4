package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"eventserver/infra"
	"eventserver/router/plural"
)

// window is a span of time in which records were stored; zero ends are open.
type window struct{ from, to time.Time }

// skew is how far the clock of a client may be ahead, so that a time in an id is
// worth a look.
const skew = time.Hour

// timeOf is the time that an id names, if it reads as a ULID or as a UUID with a
// time (versions 1, 6 and 7). The id is a client's text, and digits that mean
// something else may read as one: the time says where to look first and nothing
// else. The zero time: it names none, or one that is still to come.
func timeOf(id string, now time.Time) time.Time {
	var at time.Time
	if u, err := ulid.ParseStrict(id); err == nil {
		at = u.Timestamp()
	} else if u, err := uuid.Parse(id); err == nil && (u.Version() == 1 || u.Version() == 6 || u.Version() == 7) {
		at = time.Unix(u.Time().UnixTime())
	}
	if at.After(now.Add(skew)) {
		return time.Time{}
	}
	return at.UTC()
}

// likely is where the event is looked for first: around the time in its id.
func (c *inquiry) likely() (out []window) {
	if c.hint.IsZero() {
		return nil
	}
	for _, w := range []window{
		{c.hint.Add(-2 * time.Second), c.hint.Add(10 * time.Second)},
		{c.hint.Add(-skew), c.hint.Add(24 * time.Hour)},
	} {
		if w.from.Before(c.q.Since) {
			w.from = c.q.Since
		}
		if w.from.Before(w.to) {
			out = append(out, w)
		}
	}
	return out
}

// notFound says what was read, and what else to try.
func (c *inquiry) notFound() error {
	where := "in the topic of events"
	if !c.q.Since.IsZero() {
		where += " stored since " + clock(c.q.Since)
	}
	var text string
	switch {
	case c.early:
		text = fmt.Sprintf("the search ended early: %s were read %s, the newest first, and there are more; narrow it with --key and --since", plural.Count(c.read, "record"), where)
	case c.read == 0:
		text = "there is no record " + where
	case c.read == 1:
		text = "the only record " + where + " is of another event"
	default:
		text = fmt.Sprintf("all %d records %s were read", c.read, where)
	}
	for _, topic := range c.short {
		text += "; topic " + topic + " was not read to its end"
	}
	if !c.early {
		cure := []string{"check the id"}
		if c.q.Key != "" {
			cure = append(cure, "the key")
		}
		text += "; " + strings.Join(cure, " and ")
		if !c.q.Since.IsZero() {
			text += ", or give an earlier --since"
		}
	}
	if len(c.damaged) > 0 {
		text += "; some records cannot be read, and that of the event may be one of them: look up EventServerBrokerDamaged in docs/runbooks.md"
	}
	if c.gone {
		text += "; older records are deleted, and that of the event may be one of them"
	}
	return fmt.Errorf("event %q %w in the topics of this server: %s", c.q.ID, ErrNotFound, text)
}

// endedEarly notes that a topic other than that of events was not read to its end.
func (c *inquiry) endedEarly(topic string, n int64) {
	c.note("The search of topic %s ended after %s: what is said of it may not be the last word.", topic, plural.Count(n, "record"))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.short = append(c.short, topic)
}

// unreadable notes that records of a topic are damaged. All else of it was read.
func (c *inquiry) unreadable(topic string, damage *infra.DamageError) {
	c.note("Records of topic %s cannot be read, and one of this event may be among them: %s.", topic, damage)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.damaged == nil {
		c.damaged = map[string]bool{}
	}
	c.damaged[topic] = true
}

// firstOf is the part of a destination's topic that is read first, where all that
// is known of the event is the time in its id.
func (c *inquiry) firstOf() (window, bool) {
	if len(c.found) > 0 || c.hint.IsZero() {
		return window{}, false
	}
	return window{from: c.hint.Add(-skew)}, true
}

// orUnreadable ends a text about an event of which a topic has no record.
func (c *inquiry) orUnreadable(topic string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.damaged[topic] {
		return ""
	}
	return ", or its record in topic " + topic + " is one of those that cannot be read"
}
