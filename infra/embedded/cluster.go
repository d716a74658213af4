package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// startCluster starts the cluster, twice when it finds damage. It skips a file's
// damaged tail but may leave it there, and the next start would not find what
// was written behind it. Close writes the files afresh.
func startCluster(log *slog.Logger, opts []kfake.Opt) (*kfake.Cluster, *clusterLogger, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	logger := &clusterLogger{log: log, last: map[string]time.Time{}}
	opts = append(opts, kfake.WithLogger(logger))
	cluster, err := kfake.NewCluster(opts...)
	if err == nil && logger.warned.Load() {
		log.Warn("embedded broker: the data was damaged; what could be read is kept")
		cluster.Close()
		cluster, err = kfake.NewCluster(opts...)
	}
	return cluster, logger, err
}

// clusterLogger passes the cluster's warnings to slog.
type clusterLogger struct {
	log    *slog.Logger
	warned atomic.Bool
	// refusal is why the disk did not take a record, the last time.
	refusal atomic.Pointer[error]

	mu   sync.Mutex
	last map[string]time.Time // by format, of which there are few
}

// logAgain is how long the cluster does not repeat itself: it warns of each
// record that a full disk does not take.
const logAgain = time.Minute

// Logf implements kfake.Logger.
func (l *clusterLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	as := slog.LevelWarn
	switch level {
	case kfake.LogLevelError:
		as = slog.LevelError
	case kfake.LogLevelWarn:
	default:
		return
	}
	l.warned.Store(true)
	l.note(format, args)
	l.mu.Lock()
	now := time.Now()
	again := now.Sub(l.last[format]) < logAgain
	if !again {
		l.last[format] = now
	}
	l.mu.Unlock()
	if again {
		return
	}
	l.log.LogAttrs(context.Background(), as, "embedded broker", slog.String("message", fmt.Sprintf(format, args...)))
}
