package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"eventserver/router/attempt"
	"eventserver/router/control"
)

// retryData is what a control record of a retry carries. A user's key does not
// belong into a topic that is kept for ever.
type retryData struct {
	KeySHA256 string `json:"key_sha256,omitempty"` // "": all users
}

// matcher says which keys are meant.
func (d retryData) matcher() func(key string) bool {
	if d.KeySHA256 == "" {
		return func(string) bool { return true }
	}
	return func(key string) bool { return key != "" && digest(key) == d.KeySHA256 }
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// RetryNow ends the pause of a destination's breaker and the backoffs of its users,
// or of the one with a key, at every instance. It spends nothing of an event's
// limits. It returns what this instance had to end.
func (a *App) RetryNow(ctx context.Context, id, key, by string) (attempt.Waits, error) {
	if err := a.known(id); err != nil {
		return attempt.Waits{}, err
	}
	if r, ok := a.control.Last(control.Pause, id); ok && r.On {
		return attempt.Waits{}, fmt.Errorf("%w by %s; `resume` ends that", ErrPaused, r.By)
	}
	var data retryData
	if key != "" {
		data.KeySHA256 = digest(key)
	}
	body, err := json.Marshal(data)
	if err != nil {
		return attempt.Waits{}, err
	}
	waits := a.pipeline.RetryWaits(id, data.matcher())
	_, err = a.control.Put(ctx, control.Record{Kind: control.Retry, Destination: id, By: by, Data: body})
	return waits, err
}

// retryNow applies a record.
func (a *App) retryNow(r control.Record) {
	var data retryData
	if err := json.Unmarshal(r.Data, &data); err != nil { // of a later version
		a.log.Warn("a control record is not understood", slog.String("kind", r.Kind), slog.String("destination", r.Destination))
		return
	}
	ended := a.pipeline.RetryNow(r.Destination, data.matcher())
	a.log.Info("the destination is asked again now", slog.String("destination", r.Destination), slog.String("by", r.By),
		slog.Bool("pause_ended", ended.Pause), slog.Int("backoffs_ended", ended.Backoffs))
}

// ErrPaused is the error of what a pause by hand forbids.
var ErrPaused = errors.New("the destination is paused")
