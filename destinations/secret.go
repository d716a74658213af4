package destinations

import (
	"log/slog"
	"strings"
)

// Secret is a value that no log, error or dump shows.
type Secret string

const hidden = "[secret]"

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (Secret) String() string { return hidden }

// GoString hides the value.
func (Secret) GoString() string { return hidden }

// MarshalText hides the value.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the value.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// LooksSecret reports whether part of a URL's path is likely to authenticate:
// chat services put their tokens there. It has 20 characters or more, none but
// those of a token, and a digit or a capital among them.
func LooksSecret(part string) bool {
	const shortest = 20
	return len(part) >= shortest && strings.ContainsAny(part, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") &&
		!strings.ContainsFunc(part, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
		})
}
