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
