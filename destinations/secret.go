package destinations

import "log/slog"

// Secret is a value that no log, error or dump shows.
type Secret string

const hidden = "[secret]"

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// String, GoString, MarshalText and LogValue hide the value.
func (s Secret) String() string               { return hidden }
func (s Secret) GoString() string             { return hidden }
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
