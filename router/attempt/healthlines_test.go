package attempt

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"eventserver/router/routertest"
)

// lines are the messages and causes of a log.
func lines(b *bytes.Buffer) (out []string) {
	for l := range strings.Lines(b.String()) {
		_, l, _ = strings.Cut(strings.TrimSpace(l), "msg=")
		out = append(out, l)
	}
	return out
}

// One line at the first failure after a success, one when it answers again, and no
// more than that in a minute, however it goes up and down.
func TestHealthLines(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		var b bytes.Buffer
		h := &Health{Log: slog.New(slog.NewTextHandler(&b, nil))}
		h.succeeded()
		for range 100 {
			h.failedWith(routertest.ErrPlain, saysFails)
		}
		if s := h.Status(); s == nil || s.Attempts != 100 || s.Last != routertest.ErrPlain.Error() {
			t.Errorf("status %+v", s)
		}
		routertest.Elapse(time.Minute + 10*time.Second)
		h.succeeded()
		h.succeeded()
		want := []string{`"destination fails; its events are tried again" cause="it did not work"`, `"destination answers again" failed_attempts=100 after=1m10s`}
		if got := lines(&b); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if s := h.Status(); s != nil {
			t.Errorf("after a success: %+v", s)
		}
		b.Reset()
		for range 100 { // one fails in two, for 50 s
			h.failedWith(routertest.ErrPlain, saysUnavailable)
			routertest.Elapse(500 * time.Millisecond)
			h.succeeded()
		}
		if got := lines(&b); len(got) != 2 || !strings.Contains(got[0], saysUnavailable) {
			t.Errorf("%q, want one line each", got)
		}
		b.Reset()
		h.failedWith(routertest.ErrPlain, saysFails) // within the minute: it is not silent for ever
		routertest.Elapse(time.Minute)
		h.failedWith(routertest.ErrPlain, saysFails)
		if got := lines(&b); len(got) != 1 {
			t.Errorf("%q, want the line that was left out before", got)
		}
		b.Reset()
		h.succeeded()
		b.Reset()
		h.failedWith(routertest.ErrPlain, "") // the poison queue tells of it
		h.succeeded()
		if b.Len() > 0 {
			t.Errorf("a refusal is told twice: %q", b.String())
		}
	})
}
