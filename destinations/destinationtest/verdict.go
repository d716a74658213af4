package destinationtest

import (
	"errors"
	"strings"

	"eventserver/destinations"
)

// Verdict is what the router will make of err, as words for a test's table:
// "ok", "skip", "permanent", "retry", or "unavailable"; the last two with
// " after <wait>" where the receiver asked for one.
func Verdict(err error) string {
	var (
		permanent   *destinations.PermanentError
		unavailable *destinations.UnavailableError
		after       *destinations.RetryAfterError
		words       = []string{"retry"}
	)
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, destinations.ErrSkip):
		return "skip"
	case errors.As(err, &permanent):
		return "permanent"
	case errors.As(err, &unavailable):
		words[0] = "unavailable"
	}
	if errors.As(err, &after) {
		words = append(words, "after", after.Wait.String())
	}
	return strings.Join(words, " ")
}
