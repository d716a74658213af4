package router

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"eventserver/metrics"
	"eventserver/router/routertest"
)

// deafBroker answers no ping while it is deaf: it hangs, as a broker behind a
// dead network does.
type deafBroker struct {
	*fakeBroker
	deaf atomic.Bool
}

func (b *deafBroker) Ping(ctx context.Context) error {
	if b.deaf.Load() {
		<-ctx.Done()
		return errors.Join(errors.New("no answer"), ctx.Err())
	}
	return nil
}

// The gauge follows within an interval and the timeout, and the log has one
// line for each change, however long it lasts.
func TestBrokerUp(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		var log bytes.Buffer
		m, err := metrics.New(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		b := &deafBroker{fakeBroker: &fakeBroker{pub: &fakePub{}, subs: map[string]*routertest.ChanSub{}}}
		p := &Pipeline{storing: newStoring(nil), cfg: Config{Broker: b, Metrics: m, Logger: slog.New(slog.NewTextHandler(&log, nil))}}
		ctx, cancel := context.WithCancel(t.Context())
		go p.watchBroker(ctx)
		want := func(up float64) {
			t.Helper()
			routertest.Elapse(pingInterval + pingTimeout)
			if got := testutil.ToFloat64(m.BrokerUp); got != up {
				t.Errorf("broker_up is %v, want %v", got, up)
			}
		}
		want(1)
		b.deaf.Store(true)
		want(0)
		routertest.Elapse(10 * time.Minute)
		want(0)
		b.deaf.Store(false)
		want(1)
		cancel()
		routertest.Elapse(0)
		if lines := strings.Count(log.String(), "\n"); lines != 2 {
			t.Errorf("%d lines in the log, want one for each change:\n%s", lines, log.String())
		}
	})
}
