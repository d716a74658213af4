package explain

import (
	"strings"
	"time"

	"eventserver/router"
)

// operand is a word for a shell that no command takes for a flag.
func operand(s string) string {
	if strings.HasPrefix(s, "-") {
		return "-- " + quoted(s)
	}
	return quoted(s)
}

// quoted is a word for a shell.
func quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// meant is what redrives the event, and what came before it of its user.
func (c *inquiry) meant() string {
	if n := len(c.found); n > 0 && c.found[n-1].keyless {
		return " --event " + quoted(c.q.ID)
	}
	return c.keyFlag()
}

// keyFlag is what finds another event of the same user.
func (c *inquiry) keyFlag() string {
	if n := len(c.found); n > 0 {
		return keyFlagOf(c.found[n-1].Key)
	}
	return ""
}

// keyFlagOf is keyFlag for an order key; what has no key has one that begins with
// a zero.
func keyFlagOf(key string) string {
	if key == "" || key[0] == 0 {
		return ""
	}
	return " --key " + quoted(key)
}

func by(n *router.Note) string {
	text := ""
	if n.By != "" {
		text = " by " + n.By
	}
	if !n.At.IsZero() {
		text += " since " + clock(n.At)
	}
	if n.Why != "" {
		text += " (" + n.Why + ")"
	}
	return text
}

// clock is a time for people, to the millisecond.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
